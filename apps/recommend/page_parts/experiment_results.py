"""What an A/B test says so far: each arm's clicks with their interval, and the differences."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from shared.api.recommend_operations import ArmDifference, ArmResult, ArmSettings
from shared.ui.wording import percent

SETTINGS = {
    "diversity": "diversity {:g}",
    "exploration": "exploration {:g}",
    "damping": "damping {:g}",
    "category_cap": "at most {} of a category",
}


def settings_words(settings: ArmSettings) -> str:
    """What an arm sets, in words."""
    told = [
        words.format(value)
        for name, words in SETTINGS.items()
        if (value := getattr(settings, name)) is not None
    ]
    return ", ".join(told) if told else "as asked for"


def results_table(arms: Sequence[ArmResult]) -> pd.DataFrame:
    """A row an arm."""
    return pd.DataFrame(
        [
            {
                "arm": arm.name,
                "lists shown": arm.impressions,
                "clicked": arm.clicks,
                "rate": percent(arm.rate, 1),
                "95 % interval": ""
                if arm.low is None or arm.high is None
                else f"{percent(arm.low, 1)} to {percent(arm.high, 1)}",
            }
            for arm in arms
        ]
    )


def difference_words(difference: ArmDifference, first: str) -> str:
    """How an arm stands to the first, and whether its interval says that it differs."""
    if difference.difference is None or difference.low is None or difference.high is None:
        return f"{difference.name}: no list was shown yet to compare with {first}."
    low, high = difference.low, difference.high
    verdict = "better" if low > 0 else "worse" if high < 0 else "not told apart from it so far"
    return (
        f"{difference.name} against {first}: {_points(difference.difference)} points "
        f"({_points(low)} to {_points(high)}): {verdict}."
    )


def rates_chart(arms: Sequence[ArmResult]) -> alt.LayerChart:
    """Each arm's rate as a point on its interval; the axis starts at 0."""
    frame = pd.DataFrame(
        [
            {"arm": arm.name, "rate": arm.rate, "low": arm.low, "high": arm.high}
            for arm in arms
            if arm.rate is not None
        ],
        columns=["arm", "rate", "low", "high"],
    )
    chart = alt.Chart(frame)
    order = [arm.name for arm in arms]
    up = alt.Y("arm:N", sort=order, title=None, axis=alt.Axis(labelLimit=130, grid=False))
    most = max((arm.high or arm.rate or 0.0 for arm in arms), default=0.0)
    scale = alt.Scale(domain=[0, most * 1.05 or 1.0])
    axis = alt.Axis(format=".0%", tickCount=5)
    tips = [
        "arm:N",
        alt.Tooltip("rate:Q", format=".1%"),
        alt.Tooltip("low:Q", format=".1%"),
        alt.Tooltip("high:Q", format=".1%"),
    ]
    spread = chart.mark_rule(strokeWidth=3, color="#0f766e", opacity=0.5).encode(
        y=up, x=alt.X("low:Q", scale=scale, axis=axis, title="clicked"), x2="high:Q"
    )
    points = chart.mark_point(filled=True, size=120, color="#0f766e", opacity=1).encode(
        y=up, x=alt.X("rate:Q", scale=scale, axis=axis, title="clicked"), tooltip=tips
    )
    return alt.layer(spread, points).properties(height=50 + 36 * max(1, len(frame)))


def _points(share: float) -> str:
    return f"{share * 100:+.1f}"
