"""What a version reads now, against what it was made of: signals, and whether they mean drift.

A signal tells drift where it is both: too large for chance (Holm over all signals of a check, so
that ``alpha`` bounds the chance of any false one) and large enough to matter (its ``floor``). The
first alone would tell of every trifle once there are many readings, the second of every small
sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shared.monitoring.drift_statistics import (
    Shift,
    centroid_shift,
    class_counts,
    confidence_bins,
    domain_separability,
    holm,
    rate_shift,
    stability_shift,
)

Verdict = Literal["too few readings", "stable", "drift"]
SignalName = Literal[
    "centroid", "separability", "labels", "confidence", "out_of_scope", "behaviour", "unknown_items"
]

MOST_COMPARED = 1_000
"""Readings of either side that are compared: more cost time, and show what nobody would act on."""


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """When drift is told. ``alpha`` is the chance of a false alarm that one check may have."""

    alpha: float = 0.001
    least: int = 150
    """Readings that a check needs, on both sides."""
    centroid: float = 0.15
    """Spreads of the reference, beyond chance."""
    separability: float = 0.60
    """Area under the curve: the lower bound must be above."""
    stability: float = 0.10
    """Population stability index beyond chance, of labels, confidence and behaviour."""
    rate: float = 0.05
    """Share of readings beyond the reference's, of those out of scope and of unknown items."""

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError("alpha lies between 0 and 1")
        if self.least < 20:
            raise ValueError("below 20 readings nothing can be told")


@dataclass(frozen=True, slots=True)
class ReadingWindow:
    """Readings of one version: vectors float32 [n, d], and [n] of the rest.

    ``in_scope_scores`` may be nan where a model gives none.
    """

    vectors: NDArray[np.float32]
    labels: tuple[str, ...]
    confidence: NDArray[np.float64]
    in_scope_scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        sizes = {len(self.vectors), len(self.labels), len(self.confidence)}
        if len(sizes | {len(self.in_scope_scores)}) > 1:
            raise ValueError("a window has as many vectors as labels and scores")

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, most: int, seed: int) -> ReadingWindow:
        """At most so many of them, drawn without replacement."""
        if len(self) <= most:
            return self
        return self.take(np.random.default_rng(seed).choice(len(self), most, replace=False))

    def take(self, rows: NDArray[np.integer[Any]]) -> ReadingWindow:
        """The readings of these rows."""
        return ReadingWindow(
            self.vectors[rows],
            tuple(self.labels[row] for row in rows),
            self.confidence[rows],
            self.in_scope_scores[rows],
        )


@dataclass(frozen=True, slots=True)
class Signal:
    """One comparison: ``effect`` against its ``floor``, ``adjusted`` p against alpha."""

    name: SignalName
    value: float
    by_chance: float
    effect: float
    floor: float
    p_value: float
    adjusted: float = 1.0
    drifted: bool = False

    @property
    def words(self) -> str:
        """What it says, for people."""
        return {
            "centroid": f"texts have moved by {self.effect:.2f} spreads on average",
            "separability": f"a classifier tells them from validation texts (AUC {self.value:.2f})",
            "labels": f"labels are of another mix (stability index {self.effect:.2f} over chance)",
            "confidence": f"confidence has changed (stability index {self.effect:.2f} over chance)",
            "out_of_scope": f"{self.value:.0%} look unlike the training data, not "
            f"{self.by_chance:.0%}",
            "behaviour": f"people do other things (stability index {self.effect:.2f} over chance)",
            "unknown_items": f"{self.value:.0%} of events are on items that the model has not "
            f"seen, not {self.by_chance:.0%}",
        }[self.name]


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What one check found. ``reference`` and ``live`` count readings."""

    app: str
    version: str
    at: datetime
    verdict: Verdict
    reference: int
    live: int
    signals: tuple[Signal, ...] = field(default=())

    @property
    def drifted(self) -> tuple[Signal, ...]:
        """The signals that tell drift."""
        return tuple(signal for signal in self.signals if signal.drifted)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON keeps it."""
        return {
            **asdict(self),
            "at": self.at.isoformat(),
            "signals": [{**asdict(one), "words": one.words} for one in self.signals],
        }


def compare_readings(
    reference: ReadingWindow, live: ReadingWindow, limits: DriftLimits, *, seed: int
) -> list[Signal]:
    """The five signals of readings, judged; empty where either side has too few."""
    if min(len(reference), len(live)) < limits.least:
        return []
    old, new = reference.sample(MOST_COMPARED, seed), live.sample(MOST_COMPARED, seed + 1)
    apart = domain_separability(old.vectors, new.vectors, seed=seed, alpha=limits.alpha)
    signals = [
        signal_of("centroid", centroid_shift(old.vectors, new.vectors, seed=seed), limits.centroid),
        Signal("separability", apart.auc, 0.5, apart.low, limits.separability, apart.p_value),
        signal_of(
            "labels",
            stability_shift(*class_counts(old.labels, new.labels), seed=seed),
            limits.stability,
        ),
        signal_of(
            "confidence",
            stability_shift(*confidence_bins(old.confidence, new.confidence), seed=seed),
            limits.stability,
        ),
    ]
    scores, live_scores = (
        window.in_scope_scores[np.isfinite(window.in_scope_scores)] for window in (old, new)
    )
    if min(len(scores), len(live_scores)) >= limits.least:
        unlike = float(np.quantile(scores, 0.05, method="higher"))
        rates = [(int(np.count_nonzero(one < unlike)), len(one)) for one in (scores, live_scores)]
        signals.append(signal_of("out_of_scope", rate_shift(rates[0], rates[1]), limits.rate))
    return judge(signals, limits)


def signal_of(name: SignalName, shift: Shift, floor: float) -> Signal:
    """A statistic as a signal that is not judged yet."""
    return Signal(name, shift.value, shift.by_chance, shift.effect, floor, shift.p_value)


def judge(signals: Sequence[Signal], limits: DriftLimits) -> list[Signal]:
    """The signals with p-values adjusted for one another, and whether each tells drift."""
    adjusted = holm([signal.p_value for signal in signals])
    return [
        Signal(
            one.name,
            one.value,
            one.by_chance,
            one.effect,
            one.floor,
            one.p_value,
            p,
            p <= limits.alpha and one.effect > one.floor,
        )
        for one, p in zip(signals, adjusted, strict=True)
    ]


def report_of(
    app: str, version: str, at: datetime, counts: tuple[int, int], signals: Sequence[Signal]
) -> DriftReport:
    """A report; without signals there were too few readings. ``counts``: reference, live."""
    verdict: Verdict = "too few readings" if not signals else "stable"
    if any(signal.drifted for signal in signals):
        verdict = "drift"
    return DriftReport(app, version, at, verdict, *counts, tuple(signals))
