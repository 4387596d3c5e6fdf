"""A plot's frame in SVG: scales, axes, grid and paths. Colours come from the page's style sheet.

Every plot is drawn 400 units wide, about the width of a telephone, so that its letters stay
readable there and are not huge on a desk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike

WIDTH = 400.0


@dataclass(slots=True)
class Frame:
    """A rectangle that data is drawn into; ``x`` and ``y`` are the ranges of the data."""

    x: tuple[float, float]
    y: tuple[float, float]
    label: str
    height: float = 250.0
    left: float = 46.0
    right: float = 22.0
    top: float = 14.0
    bottom: float = 42.0
    parts: list[str] = field(default_factory=list)

    def px(self, value: float) -> float:
        """The horizontal place of a value, kept inside the frame."""
        share = (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        return round(self.left + min(max(share, 0.0), 1.0) * (WIDTH - self.left - self.right), 1)

    def py(self, value: float) -> float:
        """The vertical place of a value, kept inside the frame."""
        share = (value - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        span = self.height - self.top - self.bottom
        return round(self.height - self.bottom - min(max(share, 0.0), 1.0) * span, 1)

    def x_axis(self, title: str, ticks: Sequence[tuple[float, str]]) -> None:
        """The line at the foot, its ticks and its title."""
        base = self.height - self.bottom
        self._line(self.left, base, WIDTH - self.right, base, "axis")
        for value, text in ticks:
            self._line(self.px(value), base, self.px(value), base + 4, "axis")
            self.text(self.px(value), base + 17, text, "tick middle")
        self.text((self.left + WIDTH - self.right) / 2, self.height - 5, title, "title middle")

    def y_axis(self, ticks: Sequence[tuple[float, str]]) -> None:
        """Grid lines across, with their values at the left."""
        for value, text in ticks:
            self._line(self.left, self.py(value), WIDTH - self.right, self.py(value), "grid")
            self.text(self.left - 7, self.py(value) + 4, text, "tick end")

    def path(self, x: ArrayLike, y: ArrayLike, style: str) -> None:
        """A line through the points, at most 400 of them."""
        xs, ys = thin(np.asarray(x, float)), thin(np.asarray(y, float))
        points = " ".join(f"{self.px(a)},{self.py(b)}" for a, b in zip(xs, ys, strict=True))
        self.parts.append(f'<polyline class="{style}" points="{points}"/>')

    def line(self, x0: float, y0: float, x1: float, y1: float, style: str) -> None:
        """A straight line between two points of the data."""
        self._line(self.px(x0), self.py(y0), self.px(x1), self.py(y1), style)

    def bar(self, x0: float, x1: float, y0: float, y1: float, style: str, hint: str) -> None:
        """A filled rectangle between data values; ``hint`` is shown when it is pointed at."""
        left, right = self.px(x0) + 0.75, self.px(x1) - 0.75
        high, low = sorted((self.py(y0), self.py(y1)))
        self.parts.append(
            f'<rect class="{style}" x="{left:.1f}" y="{high:.1f}" width="{right - left:.1f}" '
            f'height="{low - high:.1f}"><title>{escape(hint)}</title></rect>'
        )

    def dot(self, x: float, y: float, style: str, hint: str, radius: float = 4.0) -> None:
        """A filled circle at a point of the data."""
        self.parts.append(
            f'<circle class="{style}" cx="{self.px(x)}" cy="{self.py(y)}" r="{radius}">'
            f"<title>{escape(hint)}</title></circle>"
        )

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        """Letters at a place of the drawing (not of the data)."""
        self.parts.append(f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')

    def svg(self) -> Markup:
        """The whole drawing, fit to stand in a page."""
        return Markup(  # nosec B704
            f'<svg class="plot" viewBox="0 0 {WIDTH:g} {self.height:g}" role="img" '
            f'aria-label="{escape(self.label)}">{"".join(self.parts)}</svg>'
        )

    def _line(self, x0: float, y0: float, x1: float, y1: float, style: str) -> None:
        self.parts.append(
            f'<line class="{style}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'
        )


def thin(values: np.ndarray, most: int = 400) -> np.ndarray:
    """At most ``most`` of the values, evenly chosen, the first and the last among them."""
    if len(values) <= most:
        return values
    return np.asarray(values[np.linspace(0, len(values) - 1, most).round().astype(int)])


def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as people read it: ``94.2 %``."""
    return f"{100 * share:.{digits}f}\u202f%"


def round_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers within a range, about as many as asked."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10.0 ** np.floor(np.log10(span / about))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= about)
    first = int(np.ceil(low / step - 1e-9))
    last = int(np.floor(high / step + 1e-9))
    return [float(round(number * step, 10)) for number in range(first, last + 1)]
