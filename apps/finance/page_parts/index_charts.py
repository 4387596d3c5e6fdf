"""The index over time with its volume, and the companies whose index moved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import altair as alt
import pandas as pd

from shared.api.finance import IndexPointShape, IndexSeries
from shared.api.finance_alerts import Mover
from shared.ui.sentiment import HEX

LINE = "#2a9d8f"
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


def index_chart(
    line: IndexSeries, bars: IndexSeries, zone: tzinfo, *, height: int = 300
) -> alt.LayerChart:
    """The index as a line from -1 to 1, above bars of how many stories there were.

    Clock times are the reader's; the tooltip tells UTC too. The bars' dark part is negative news.
    """
    points = index_frame(line, zone)
    stories = volume_frame(bars, zone)
    whole = alt.Scale(type="utc", domain=_range_of(line, stories, zone))
    x = alt.X(
        "at:T",
        title=None,
        scale=whole,
        axis=alt.Axis(format="%d %b", tickCount="day", grid=False, labelOverlap=True),
    )
    # The bars keep to the lowest quarter: their axis goes to four times the highest.
    most = max(1, int(stories["stories"].max()) if len(stories) else 1)
    volume = alt.Y(
        "from_zero:Q",
        title=None,
        axis=None,
        scale=alt.Scale(domain=[0, most * 4.2], nice=False),
    )
    tips = [
        alt.Tooltip("span:N", title="time"),
        alt.Tooltip("utc:N", title="UTC"),
        alt.Tooltip("stories:Q"),
        alt.Tooltip("negative:Q", title="of these negative"),
        alt.Tooltip("z:Q", format="+.1f", title="against past weeks (z)"),
    ]
    bar = (
        alt.Chart(stories)
        .mark_bar(opacity=0.75)
        .encode(
            x=alt.X("begin:T", scale=whole),
            x2="end:T",
            y=volume,
            y2="base:Q",
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=["negative", "other"], range=[HEX["negative"], "#b7c2bf"]),
                legend=alt.Legend(
                    title=None,
                    orient="top",
                    direction="horizontal",
                    labelExpr="datum.label + ' stories'",
                ),
            ),
            tooltip=tips,
        )
    )
    mood = alt.Y(
        "value:Q",
        title="index",
        scale=alt.Scale(domain=[-1, 1]),
        axis=alt.Axis(values=[-1, -0.5, 0, 0.5, 1], format="+.1f"),
    )
    zero = (
        alt.Chart(pd.DataFrame({"value": [0.0]}))
        .mark_rule(strokeDash=[4, 4], color="#808c8a", opacity=0.8)
        .encode(y=mood)
    )
    drawn = alt.Chart(points).mark_line(color=LINE, strokeWidth=2.2, interpolate="monotone")
    hover = (
        alt.Chart(points)
        .mark_point(filled=True, size=90, opacity=0, color=LINE)
        .encode(
            x=x,
            y=mood,
            opacity=alt.condition(_nearest(), alt.value(1), alt.value(0)),
            tooltip=[
                alt.Tooltip("told:N", title="time"),
                alt.Tooltip("utc:N", title="UTC"),
                alt.Tooltip("value:Q", format="+.2f", title="index"),
                alt.Tooltip("stories:Q", title="stories of the hour"),
                alt.Tooltip("z:Q", format="+.1f", title="against past weeks (z)"),
            ],
        )
        .add_params(_nearest())
    )
    moods = alt.layer(zero, drawn.encode(x=x, y=mood), hover)
    return alt.layer(bar, moods).resolve_scale(y="independent").properties(height=height)


def index_frame(series: IndexSeries, zone: tzinfo) -> pd.DataFrame:
    """One row a point that is known; ``at`` is the reader's clock without its zone."""
    rows = [
        {
            "at": _clock(point.at, zone),
            "told": _told(point.at, zone),
            "utc": _told(point.at, UTC),
            "value": point.value,
            "stories": point.volume,
            "z": point.volume_z,
        }
        for point in series.points
        if point.value is not None
    ]
    columns = ["at", "told", "utc", "value", "stories", "z"]
    return pd.DataFrame(rows, columns=columns)


def volume_frame(series: IndexSeries, zone: tzinfo) -> pd.DataFrame:
    """Two rows a step with stories: the negative ones, and the others on top of them."""
    rows: list[dict[str, Any]] = []
    step = STEPS[series.step]
    for point in series.points:
        if not point.volume:
            continue
        begin = _begin(point, step)
        gap = (point.at - begin) * 0.08
        shared = {
            "begin": _clock(begin, zone) + gap,
            "end": _clock(point.at, zone) - gap,
            "span": f"{_told(begin, zone)} to {_told(point.at, zone)}",
            "utc": f"{_told(begin, UTC)} to {_told(point.at, UTC)}",
            "stories": point.volume,
            "negative": point.negative_volume,
            "z": point.volume_z,
        }
        bad = point.negative_volume
        rows.append({**shared, "kind": "negative", "base": 0, "from_zero": bad})
        rows.append({**shared, "kind": "other", "base": bad, "from_zero": point.volume})
    columns = ["begin", "end", "span", "utc", "stories", "negative", "z"]
    return pd.DataFrame(rows, columns=[*columns, "kind", "base", "from_zero"])


def movers_chart(up: Sequence[Mover], down: Sequence[Mover]) -> alt.LayerChart:
    """From where each company's index came to where it stands, the largest changes first."""
    movers = [*up, *reversed(down)]
    frame = pd.DataFrame(
        [
            {
                "company": mover.name,
                "before": mover.before,
                "now": mover.now,
                "change": mover.change,
                "stories": mover.stories,
                "direction": "up" if mover.change > 0 else "down",
            }
            for mover in movers
        ],
        columns=["company", "before", "now", "change", "stories", "direction"],
    )
    order = [mover.name for mover in movers]
    across = alt.Scale(domain=[-1, 1])
    y = alt.Y("company:N", sort=order, title=None, axis=alt.Axis(labelLimit=150, grid=False))
    color = alt.Color(
        "direction:N",
        scale=alt.Scale(domain=["up", "down"], range=[HEX["positive"], HEX["negative"]]),
        legend=None,
    )
    tips = [
        "company:N",
        alt.Tooltip("before:Q", format="+.2f", title="a day ago"),
        alt.Tooltip("now:Q", format="+.2f"),
        alt.Tooltip("change:Q", format="+.2f"),
        alt.Tooltip("stories:Q"),
    ]
    axis = alt.Axis(values=[-1, -0.5, 0, 0.5, 1], format="+.1f", labelFlush=True)
    chart = alt.Chart(frame)
    way = chart.mark_rule(strokeWidth=3, opacity=0.55).encode(
        y=y, x=alt.X("before:Q", scale=across, axis=axis, title=None), x2="now:Q", color=color,
        tooltip=tips,
    )  # fmt: skip
    start = chart.mark_tick(thickness=3, size=12, opacity=0.55).encode(
        y=y, x=alt.X("before:Q", scale=across), color=color, tooltip=tips
    )
    end = chart.mark_point(filled=True, size=110, opacity=1).encode(
        y=y, x=alt.X("now:Q", scale=across), color=color, tooltip=tips
    )
    return alt.layer(way, start, end).properties(
        height=46 + 34 * max(1, len(movers)),
        padding={"left": 0, "right": 16, "top": 5, "bottom": 0},
    )


def _range_of(line: IndexSeries, bars: pd.DataFrame, zone: tzinfo) -> Any:
    """From where the index was asked for to where it ends, known or not; in milliseconds."""
    moments = [_clock(point.at, zone) for point in line.points]
    if len(moments) < 2:
        return alt.Undefined
    begin = min([moments[0], *bars["begin"]])
    return [moment.replace(tzinfo=UTC).timestamp() * 1000 for moment in (begin, moments[-1])]


def _nearest() -> alt.Parameter:
    return alt.selection_point(
        name="nearest", nearest=True, on="pointerover", encodings=["x"], empty=False
    )


def _begin(point: IndexPointShape, step: timedelta) -> datetime:
    """When the step that ends at the point began: steps are full hours and days of UTC."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    full = epoch + (point.at - epoch) // step * step
    return full - step if full == point.at else full


def _clock(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _told(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%a %d %b, %H:%M}"
