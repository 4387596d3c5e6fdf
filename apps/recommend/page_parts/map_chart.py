"""The catalogue in the plane: a point an item, coloured by category."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import altair as alt
import pandas as pd

from shared.api.recommend_lists import MapPoint

NONE = "no category"
MOST_COLORS = 12
"""Categories with a colour of their own; the smaller ones share grey."""

COLORS = (
    "#0f766e", "#e76f51", "#5b7db1", "#d69e2e", "#8e5ea2", "#6aa84f",
    "#c2407a", "#2aa7c9", "#8c6d46", "#394b59", "#a3b536", "#f0a58f",
)  # fmt: skip
GREY = "#a9b4b1"
OTHERS = "other categories"


def map_frame(points: Sequence[MapPoint]) -> pd.DataFrame:
    """One row a point; ``group`` is its category where that has a colour, else ``OTHERS``."""
    frame = pd.DataFrame(
        [
            {
                "id": point.id,
                "title": point.title,
                "category": point.category or NONE,
                "x": point.x,
                "y": point.y,
            }
            for point in points
        ],
        columns=["id", "title", "category", "x", "y"],
    )
    large = set(frame["category"].value_counts().index[:MOST_COLORS])
    frame["group"] = [name if name in large else OTHERS for name in frame["category"]]
    return frame


def map_chart(frame: pd.DataFrame, shown: Collection[str], *, height: int = 520) -> alt.Chart:
    """The points of the categories ``shown`` (all where it is empty) on axes that fit them.

    Colours stay with their categories whatever is shown. A click on a point selects it, under the
    name ``item``.
    """
    groups, colors = _palette(frame)
    drawn = frame[frame["category"].isin(list(shown))] if shown else frame
    axis = alt.Axis(labels=False, ticks=False, title=None, grid=True, gridOpacity=0.5, domain=False)
    scale = alt.Scale(zero=False, nice=False, padding=14)
    picked = alt.selection_point(name="item", fields=["id"], on="click", empty=True)
    return (
        alt.Chart(drawn)
        .mark_circle(size=70)
        .encode(
            x=alt.X("x:Q", axis=axis, scale=scale),
            y=alt.Y("y:Q", axis=axis, scale=scale),
            color=alt.Color(
                "group:N",
                scale=alt.Scale(domain=groups, range=colors),
                legend=None,
            ),
            opacity=alt.condition(picked, alt.value(0.85), alt.value(0.2)),
            tooltip=[alt.Tooltip("title:N"), alt.Tooltip("category:N")],
        )
        .add_params(picked)
        .properties(height=height)
    )


def legend_of(frame: pd.DataFrame, shown: Collection[str]) -> list[tuple[str, str, int]]:
    """Each coloured group of the categories ``shown`` (all where it is empty) with its colour and
    number of points, the largest first."""
    groups, colors = _palette(frame)
    drawn = frame[frame["category"].isin(list(shown))] if shown else frame
    sizes = drawn["group"].value_counts()
    return [
        (name, color, int(sizes[name]))
        for name, color in zip(groups, colors, strict=True)
        if name in sizes.index
    ]


def _palette(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The groups, the largest first and those without a colour of their own last; their colours."""
    sizes = frame["group"].value_counts()
    groups = [str(name) for name in sizes.index if name != OTHERS]
    colors = list(COLORS[: len(groups)])
    return ([*groups, OTHERS], [*colors, GREY]) if OTHERS in sizes.index else (groups, colors)
