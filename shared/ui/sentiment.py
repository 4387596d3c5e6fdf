"""Good, bad or neither: bars of three colours, companies marked in a text, and times with UTC.

The functions that end in ``_html`` are pure and escape what they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from html import escape
from urllib.parse import urlsplit

from shared.api.finance import Probabilities, Sentiment
from shared.ui.wording import clock_time, percent

COLORS: dict[Sentiment, str] = {
    "negative": "190, 60, 40",
    "neutral": "128, 140, 138",
    "positive": "15, 118, 110",
}
"""Red, green and blue of each sentiment, as the charts have them too."""

HEX: dict[Sentiment, str] = {"negative": "#be3c28", "neutral": "#808c8a", "positive": "#0f766e"}


@dataclass(frozen=True, slots=True)
class Marked:
    """A stretch of a text (start, and the position behind its end) in a colour, with a word."""

    start: int
    end: int
    label: Sentiment
    told: str


def sentiment_bar_html(probabilities: Probabilities, about: str) -> str:
    """One bar, its three parts as long as the three probabilities; ``about`` is for readers
    who cannot see it."""
    shares = {label: getattr(probabilities, label) for label in COLORS}
    told = ", ".join(f"{label} {percent(share)}" for label, share in shares.items())
    parts = "".join(
        f'<div style="width:{share * 100:.1f}%;background:rgba({COLORS[label]},'
        f'{0.45 if label == "neutral" else 0.9})"></div>'
        for label, share in shares.items()
    )
    name = escape(f"{about}: {told}")
    return (
        f'<div role="img" aria-label="{name}" title="{name}" style="display:flex;height:.5rem;'
        f'border-radius:.25rem;overflow:hidden;width:100%">{parts}</div>'
    )


def verdict_html(label: Sentiment, share: float) -> str:
    """The label in its colour, and how probable it is."""
    return (
        '<span style="white-space:nowrap;font-variant-numeric:tabular-nums">'
        f'<span aria-hidden="true" style="display:inline-block;width:.55rem;height:.55rem;'
        f"border-radius:50%;background:rgb({COLORS[label]});margin-right:.35rem"
        f'"></span>{percent(share)} {label}</span>'
    )


def sentiment_row_html(
    about: str, label: Sentiment, probabilities: Probabilities, *, strong: bool = False
) -> str:
    """Who it is about, the bar, and the verdict, on one line that wraps on narrow screens."""
    weight = "600" if strong else "400"
    return (
        '<div style="display:flex;flex-wrap:wrap;align-items:center;gap:.15rem .6rem;'
        'font-size:.85rem;line-height:1.5">'
        f'<span style="flex:1 1 6rem;max-width:11rem;font-weight:{weight};overflow:hidden;'
        f'text-overflow:ellipsis;white-space:nowrap">{escape(about)}</span>'
        '<span style="flex:2 1 4rem;max-width:18rem">'
        f"{sentiment_bar_html(probabilities, about)}</span>"
        f'<span style="flex:0 0 7rem">{verdict_html(label, getattr(probabilities, label))}</span>'
        "</div>"
    )


def marked_html(text: str, marks: Iterable[Marked], *, start: int = 0) -> str:
    """The text with its marks shaded; ``start`` is where it begins in what the marks count in.

    Marks outside the text, or over an earlier mark, are passed over.
    """
    pieces: list[str] = []
    done = 0
    for mark in sorted(marks, key=lambda one: (one.start, -one.end)):
        begin, end = mark.start - start, mark.end - start
        if not done <= begin < end <= len(text):
            continue
        color = COLORS[mark.label]
        pieces.append(escape(text[done:begin]))
        pieces.append(
            f'<span title="{escape(mark.told)}" style="background:rgba({color},.16);'
            f"border-bottom:2px solid rgba({color},.85);border-radius:.2rem .2rem 0 0;"
            f'padding:0 .1rem">{escape(text[begin:end])}</span>'
        )
        done = end
    pieces.append(escape(text[done:]))
    return "".join(pieces).replace("\n", "<br>")


def time_html(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """The moment as the reader's clock shows it; UTC shows on hover."""
    utc = moment.astimezone(UTC)
    return (
        f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}" title="{utc:%a %d %b %Y, %H:%M} UTC" '
        f'style="white-space:nowrap">{escape(clock_time(moment, zone, now))}</time>'
    )


def link_html(label: str, address: str | None) -> str:
    """A link that opens beside the page; plain words where the address is none of the web's."""
    if address is None or not is_web_address(address):
        return escape(label)
    return (
        f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer nofollow" '
        f'style="color:inherit">{escape(label)}</a>'
    )


def is_web_address(address: str) -> bool:
    """Whether a browser may be sent there: http or https with a host, and nothing else."""
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def chip_html(word: str, told: str = "") -> str:
    """A word or two in a frame; ``told`` shows on hover."""
    title = f' title="{escape(told)}"' if told else ""
    return (
        f'<span{title} style="border:1px solid rgba(128,140,138,.45);border-radius:.6rem;'
        f'padding:0 .5rem;display:inline-block;line-height:1.45">{escape(word)}</span>'
    )


def line_html(parts: Sequence[str]) -> str:
    """Small grey words in a row that wraps; the parts are HTML already."""
    inner = "".join(f"<span>{part}</span>" for part in parts if part)
    return (
        '<div style="display:flex;flex-wrap:wrap;align-items:center;gap:.1rem .8rem;'
        f'font-size:.82rem;line-height:1.7;opacity:.8">{inner}</div>'
    )
