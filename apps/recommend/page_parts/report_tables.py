"""A bundle's card as people read it: its metrics, its ablations, and accuracy against coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from shared.api.recommend_operations import BundleShape
from shared.ui.model_card import interval_of, value_at
from shared.ui.wording import percent

PARTS = {
    "all": "all together",
    "behaviour": "behaviour only",
    "text": "text only",
    "popular": "popularity only",
}
KS = (10, 20)


@dataclass(frozen=True, slots=True)
class RankingMetric:
    """A metric at a cut-off. ``unit`` is "share" of 1, "bits", or "plain"."""

    name: str
    title: str
    meaning: str
    unit: str = "plain"


METRICS = (
    RankingMetric("recall", "Recall", "share of what the user took next that the list holds"),
    RankingMetric("ndcg", "NDCG", "the same, places near the top counting more"),
    RankingMetric("hit_rate", "Hit rate", "share of users whose list holds anything they took"),
    RankingMetric(
        "debiased_hit_rate", "Debiased hit rate", "hits on what few people take count more"
    ),
    RankingMetric("coverage", "Coverage", "share of the catalogue in any list", "share"),
    RankingMetric("novelty", "Novelty", "how rarely the items listed are taken, in bits", "bits"),
    RankingMetric("diversity", "Diversity", "1 less the mean likeness of a list's items", "plain"),
)


def shown_value(metric: RankingMetric, value: float | None) -> str:
    """The number as people read it; a dash where there is none."""
    if value is None:
        return "–"
    if metric.unit == "share":
        return percent(value)
    return f"{value:.1f} bits" if metric.unit == "bits" else f"{value:.3f}"


def ranking_table(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """A row a metric that the card has: at 10 with its 95 % interval, at 20, and what it says."""
    rows = []
    for metric in METRICS:
        values = [value_at(metrics, f"{metric.name}@{k}") for k in KS]
        if values == [None, None]:
            continue
        interval = interval_of(metrics, f"{metric.name}@10")
        rows.append(
            {
                "metric": metric.title,
                "at 10": shown_value(metric, values[0]),
                "95 % interval": " to ".join(shown_value(metric, end) for end in interval)
                if interval
                else "",
                "at 20": shown_value(metric, values[1]),
                "what it says": metric.meaning,
            }
        )
    return pd.DataFrame(rows)


def ablation_table(ablations: Mapping[str, Any]) -> pd.DataFrame:
    """A row a part of the model on its own, against all of them: metrics at 10."""
    rows = []
    for part, title in PARTS.items():
        found = ablations.get(part)
        if not isinstance(found, Mapping):
            continue
        row = {"what ranks": title}
        for metric in METRICS:
            value = value_at(found, f"{metric.name}@10")
            if value is not None:
                row[f"{metric.title}@10"] = shown_value(metric, value)
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def trade_off_frame(bundles: Sequence[BundleShape], chosen: BundleShape) -> pd.DataFrame:
    """A row a ranking with both numbers: the parts of the chosen bundle, and other bundles.

    Only bundles that were measured on the same data (its name and protocol) are set beside it.
    """
    rows: list[dict[str, Any]] = []

    def add(label: str, kind: str, metrics: Mapping[str, Any]) -> None:
        accuracy, coverage = value_at(metrics, "ndcg@10"), value_at(metrics, "coverage@10")
        if accuracy is None or coverage is None:
            return
        low, high = interval_of(metrics, "ndcg@10") or (accuracy, accuracy)
        rows.append(
            {
                "label": label,
                "kind": kind,
                "ndcg": accuracy,
                "low": low,
                "high": high,
                "coverage": coverage,
            }
        )

    ablations = chosen.card.get("ablations") or {}
    for part, title in PARTS.items():
        if part != "all" and isinstance(ablations.get(part), Mapping):
            add(title, "a part alone", ablations[part])
    add("this bundle", "this bundle", chosen.metrics)
    for bundle in bundles:
        if bundle.version != chosen.version and _measured_on(bundle) == _measured_on(chosen):
            add(bundle.version[:16], "another bundle", bundle.metrics)
    return pd.DataFrame(rows, columns=["label", "kind", "ndcg", "low", "high", "coverage"])


def trade_off_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Accuracy (up) against coverage (right): the better a ranking, the nearer to that corner."""
    chart = alt.Chart(frame)
    across = alt.X(
        "coverage:Q",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=5),
        title="coverage at 10",
    )
    up = alt.Y("ndcg:Q", scale=alt.Scale(zero=True, nice=True), title="NDCG at 10")
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(
            domain=["this bundle", "a part alone", "another bundle"],
            range=["#e76f51", "#0f766e", "#808c8a"],
        ),
        legend=alt.Legend(
            title=None, orient="top", direction="horizontal", labelLimit=110, symbolOpacity=1
        ),
    )
    tips = [
        alt.Tooltip("label:N", title="ranking"),
        alt.Tooltip("ndcg:Q", format=".3f", title="NDCG at 10"),
        alt.Tooltip("coverage:Q", format=".0%"),
    ]
    spread = chart.mark_rule(strokeWidth=2, opacity=0.5).encode(
        x=across, y=alt.Y("low:Q", title="NDCG at 10"), y2="high:Q", color=color
    )
    points = chart.mark_point(filled=True, size=130, opacity=1).encode(
        x=across, y=up, color=color, tooltip=tips
    )
    # A name stands on the side of its point that has room for it, those of the parts below theirs;
    # other bundles' names would crowd the rest.
    named = [
        chart.transform_filter(f"{side} && {whose}")
        .mark_text(align=align, dx=dx, dy=dy, fontSize=12)
        .encode(x=across, y=up, text="label:N", color=color)
        for side, align, dx in (
            ("datum.coverage < 0.5", "left", 4),
            ("datum.coverage >= 0.5", "right", -4),
        )
        for whose, dy in (
            ("datum.kind == 'this bundle'", -11),
            ("datum.kind == 'a part alone'", 13),
        )
    ]
    return alt.layer(spread, points, *named).properties(height=340)


def _measured_on(bundle: BundleShape) -> tuple[Any, Any]:
    data = bundle.card.get("data")
    return (data.get("name") if isinstance(data, Mapping) else None, bundle.card.get("protocol"))
