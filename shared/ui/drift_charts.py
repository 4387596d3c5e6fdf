"""What the drift panel draws and says of a signal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import altair as alt
import pandas as pd

from shared.api.drift import DriftCheck, DriftSignal

CALM, FIRED = "#2a9d8f", "#be3c28"


@dataclass(frozen=True, slots=True)
class SignalWords:
    """How a signal reads on a page: its title, what is measured, and its digits or points."""

    title: str
    measure: str
    meaning: str
    share: bool = False

    def amount(self, effect: float) -> str:
        """The effect as people read it."""
        return f"{effect * 100:.1f} points" if self.share else f"{effect:.2f}"


_STABILITY = (
    " Population stability index, less what samples of this size show by chance: 0 is no change."
)

SIGNALS = {
    "centroid": SignalWords(
        "Average text",
        "shift, in spreads",
        "How far the average of what came lately lies from that of the validation texts, as a part"
        " of how far single texts lie apart.",
    ),
    "separability": SignalWords(
        "New told from old",
        "AUC, lower bound",
        "How well a classifier tells what came lately from validation texts: 0.5 is a coin that is"
        " thrown, 1 is always.",
    ),
    "labels": SignalWords(
        "Mix of labels",
        "stability index",
        "Whether the model gives its labels in other shares than on validation texts." + _STABILITY,
    ),
    "confidence": SignalWords(
        "Confidence",
        "stability index",
        "Whether the model is surer, or less sure, than on validation texts." + _STABILITY,
    ),
    "out_of_scope": SignalWords(
        "Unlike the training data",
        "share beyond the usual",
        "How many more than one in twenty look stranger than 19 of 20 validation texts.",
        share=True,
    ),
    "behaviour": SignalWords(
        "What people do",
        "stability index",
        "Whether views, purchases and ratings come in other shares than before the fit."
        + _STABILITY,
    ),
    "unknown_items": SignalWords(
        "Items not in the bundle",
        "share beyond the usual",
        "How many more events are on items that the bundle has not seen.",
        share=True,
    ),
}


def words_of(signal: str) -> SignalWords:
    """The words for a signal; one that this version does not know shows its own name."""
    return SIGNALS.get(signal, SignalWords(signal.replace("_", " "), "effect", ""))


def standing(signal: DriftSignal) -> str:
    """How the effect stands to its limit, in a line."""
    words = words_of(signal.name)
    told = f"{words.amount(signal.effect)}, limit {words.amount(signal.floor)}"
    if signal.drifted:
        return told
    if signal.effect > signal.floor:
        return f"{told}: above it, but it may be chance (p {signal.p_value:.2g})"
    return told


def drifting_since(checks: Sequence[DriftCheck], signal: str) -> datetime | None:
    """When a signal began to tell drift of the version compared last; None where it does not.

    Checks with too few readings say nothing and are passed over.
    """
    since = None
    for check in reversed(checks):
        found = next((one for one in check.signals if one.name == signal), None)
        if found is None:
            continue
        if check.version != checks[-1].version or not found.drifted:
            break
        since = check.at
    return since


def signal_frame(checks: Sequence[DriftCheck], signal: str, zone: tzinfo) -> pd.DataFrame:
    """One row a check that measured it; ``at`` is the reader's clock without its zone."""
    words = words_of(signal)
    rows = [
        {
            "at": pd.Timestamp(check.at.astimezone(zone)).tz_localize(None),
            "told": f"{check.at.astimezone(zone):%d %b, %H:%M}",
            "utc": f"{check.at.astimezone(UTC):%d %b, %H:%M}",
            "effect": one.effect * (100 if words.share else 1),
            "limit": one.floor * (100 if words.share else 1),
            "p": one.p_value,
            "readings": check.live,
            "version": check.version,
            "state": "drift" if one.drifted else "stable",
        }
        for check in checks
        for one in check.signals
        if one.name == signal
    ]
    columns = "at told utc effect limit p readings version state".split()
    return pd.DataFrame(rows, columns=columns)


def signal_chart(frame: pd.DataFrame, *, height: int = 110) -> alt.LayerChart:
    """The effect of each check above or below the dashed limit; a new version begins a new line."""
    low = min(0.0, float(frame["effect"].min()))
    if frame["limit"].iloc[-1] >= 0.5 and frame["effect"].min() > 0.3:
        low = 0.4  # an area under the curve begins at a half, not at nothing
    high = max(float(frame["effect"].max()), float(frame["limit"].max())) * 1.15
    first, last = frame["at"].min(), frame["at"].max()
    gap = max((last - first) * 0.04, pd.Timedelta(hours=1))
    x = alt.X(
        "at:T",
        title=None,
        scale=alt.Scale(type="utc", domain=[_utc(first - gap), _utc(last + gap)]),
        axis=alt.Axis(format="%d %b", tickCount=4, grid=False, labelOverlap=True),
    )
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    y = alt.Y(
        "effect:Q",
        title=None,
        scale=scale,
        axis=alt.Axis(tickCount=3, format="~f"),
    )
    tips = [
        alt.Tooltip("told:N", title="compared"),
        alt.Tooltip("utc:N", title="UTC"),
        alt.Tooltip("effect:Q", format=".3f"),
        alt.Tooltip("limit:Q", format=".2f"),
        alt.Tooltip("p:Q", format=".2g", title="by chance (p)"),
        alt.Tooltip("readings:Q", format=","),
        alt.Tooltip("version:N"),
    ]
    chart = alt.Chart(frame)
    limit = chart.mark_line(
        strokeDash=[5, 4], color="#808c8a", interpolate="step-after", strokeWidth=1.5
    ).encode(x=x, y=alt.Y("limit:Q", scale=scale))
    rule = (
        alt.Chart(frame.tail(1))
        .mark_rule(strokeDash=[5, 4], color="#808c8a", strokeWidth=1.5)
        .encode(y=alt.Y("limit:Q", scale=scale))
    )
    line = chart.mark_line(color=CALM, strokeWidth=1.6, opacity=0.7).encode(
        x=x, y=y, detail="version:N"
    )
    points = chart.mark_point(filled=True, size=46, opacity=1).encode(
        x=x,
        y=y,
        color=alt.Color(
            "state:N",
            scale=alt.Scale(domain=["stable", "drift"], range=[CALM, FIRED]),
            legend=None,
        ),
        tooltip=tips,
    )
    constant = frame["limit"].nunique() == 1
    return alt.layer(rule if constant else limit, line, points).properties(height=height)


def _utc(moment: pd.Timestamp) -> alt.DateTime:
    return alt.DateTime(
        year=moment.year,
        month=moment.month,
        date=moment.day,
        hours=moment.hour,
        minutes=moment.minute,
        utc=True,
    )
