"""A model version as people read it: a table of its metrics and charts beside other versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from shared.api.shapes import ModelVersionSummary
from shared.ui.wording import percent


@dataclass(frozen=True, slots=True)
class _Metric:
    path: str
    title: str
    meaning: str
    share: bool = True
    digits: int = 1


_METRICS = (
    _Metric("accuracy", "Accuracy", "share of test messages whose intent is right"),
    _Metric("macro_f1", "Macro F1", "mean F1 over intents, small ones counting as much as large"),
    _Metric("top3_accuracy", "Top 3 accuracy", "the right intent is among the first three"),
    _Metric("coverage_at_target", "Answered by the bot", "share that it is sure enough to answer"),
    _Metric("error_at_target", "Wrong among answered", "measured on test; the target is beside it"),
    _Metric(
        "expected_calibration_error",
        "Calibration error",
        "mean gap between confidence and truth",
        digits=2,
    ),
    _Metric(
        "expected_calibration_error_uncalibrated",
        "… before calibration",
        "the same before temperature scaling",
        digits=2,
    ),
    _Metric(
        "negative_log_likelihood",
        "Negative log-likelihood",
        "lower is better",
        share=False,
        digits=3,
    ),
    _Metric(
        "out_of_scope.auroc",
        "Out-of-scope AUROC",
        "1 tells strangers from known intents always",
        share=False,
        digits=3,
    ),
    _Metric(
        "out_of_scope.auprc",
        "Out-of-scope AUPRC",
        "the same, strangers as the positive class",
        share=False,
        digits=3,
    ),
)
_COMPARED = ("accuracy", "macro_f1", "top3_accuracy", "coverage_at_target")


def value_at(metrics: Mapping[str, Any], path: str) -> float | None:
    """The number at a dotted path; None where there is none."""
    found: Any = metrics
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def interval_of(metrics: Mapping[str, Any], path: str) -> tuple[float, float] | None:
    """The bootstrap interval of a metric, where the card has one."""
    intervals = metrics.get("intervals")
    found = intervals.get(path) if isinstance(intervals, Mapping) else None
    return (float(found[0]), float(found[1])) if found else None


def metrics_table(
    metrics: Mapping[str, Any], beside: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Metric, value, 95 % interval, the version in use where it is another, and the meaning."""
    rows = []
    for metric in _METRICS:
        value = value_at(metrics, metric.path)
        if value is None:
            continue
        row = {"metric": metric.title, "value": _shown(metric, value)}
        interval = interval_of(metrics, metric.path)
        row["95 % interval"] = (
            f"{_shown(metric, interval[0])} to {_shown(metric, interval[1])}" if interval else ""
        )
        if beside is not None:
            other = value_at(beside, metric.path)
            row["in use"] = "–" if other is None else _shown(metric, other)
        row["what it says"] = metric.meaning
        rows.append(row)
    return pd.DataFrame(rows)


def headline(metrics: Mapping[str, Any], target_error: float | None) -> None:
    """The four numbers to know first."""
    target = f" (target {percent(target_error)})" if target_error is not None else " answers"
    answered = value_at(metrics, "coverage_at_target")
    wrong = value_at(metrics, "error_at_target") if answered else None
    shown = (
        ("Accuracy", percent(value_at(metrics, "accuracy"), 1)),
        ("Answered by the bot", percent(answered, 1)),
        (f"Wrong{target}", percent(wrong, 1)),
        ("Calibration error", percent(value_at(metrics, "expected_calibration_error"), 2)),
    )
    with st.container(horizontal=True):
        for title, value in shown:
            st.metric(title, value, border=True, width=172)


def comparison_chart(
    metrics: Mapping[str, Any], name: str, beside: Mapping[str, Any] | None
) -> alt.LayerChart:
    """The main shares of a version as bars, and the version in use as a tick where it is another.

    The axis starts at 0, so that lengths compare.
    """
    titles = {metric.path: metric.title for metric in _METRICS}
    rows = [
        {"metric": titles[path], "version": which, "value": value}
        for which, source in ((name, metrics), ("in use", beside or {}))
        for path in _COMPARED
        if (value := value_at(source, path)) is not None
    ]
    frame = pd.DataFrame(rows, columns=["metric", "version", "value"])
    order = [titles[path] for path in _COMPARED]
    at = alt.Y("metric:N", sort=order, title=None, axis=alt.Axis(labelLimit=200))
    across = alt.X("value:Q", scale=alt.Scale(domain=[0, 1]), title=None, axis=alt.Axis(format="%"))
    tip = ["metric:N", "version:N", alt.Tooltip("value:Q", format=".1%")]
    own = alt.Chart(frame[frame["version"] == name])
    bars = own.mark_bar(color="#2a9d8f", height=16).encode(y=at, x=across, tooltip=tip)
    told = alt.Text("value:Q", format=".1%")
    inside = (
        own.transform_filter("datum.value >= 0.15")
        .mark_text(align="right", dx=-6, color="white")
        .encode(y=at, x=across, text=told)
    )
    beyond = (
        own.transform_filter("datum.value < 0.15")
        .mark_text(align="left", dx=6, color="#2a9d8f")
        .encode(y=at, x=across, text=told)
    )
    ticks = (
        alt.Chart(frame[frame["version"] == "in use"])
        .mark_tick(color="#e76f51", thickness=3, size=26)
        .encode(y=at, x=across, tooltip=tip)
    )
    return alt.layer(bars, inside, beyond, ticks).properties(height=170)


def history_chart(versions: Sequence[ModelVersionSummary]) -> alt.LayerChart:
    """Accuracy of each version over time with its 95 % interval; the one in use is filled."""
    rows = []
    for version in versions:
        accuracy = value_at(version.metrics, "accuracy")
        if accuracy is None:
            continue
        low, high = interval_of(version.metrics, "accuracy") or (accuracy, accuracy)
        rows.append(
            {
                "version": version.version,
                "made": version.created_at,
                "state": "in use" if version.in_use else "kept",
                "method": version.method,
                "accuracy": accuracy,
                "low": low,
                "high": high,
            }
        )
    frame = pd.DataFrame(rows)
    chart = alt.Chart(frame)
    made = alt.X("version:N", sort=alt.SortField("made"), title=None, axis=alt.Axis(labels=False))
    scale = alt.Scale(zero=False, nice=True)
    line = chart.mark_rule(strokeWidth=2, color="#2a9d8f", opacity=0.6).encode(
        x=made,
        y=alt.Y("low:Q", scale=scale, title="accuracy", axis=alt.Axis(format=".1%")),
        y2="high:Q",
    )
    points = chart.mark_point(size=110, filled=True, opacity=1).encode(
        x=made,
        y=alt.Y("accuracy:Q", scale=scale, axis=alt.Axis(format=".1%")),
        color=alt.Color(
            "state:N",
            scale=alt.Scale(domain=["in use", "kept"], range=["#e76f51", "#2a9d8f"]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        tooltip=["version:N", "method:N", "state:N", alt.Tooltip("accuracy:Q", format=".2%")],
    )
    return alt.layer(line, points).properties(height=200)


def _shown(metric: _Metric, value: float) -> str:
    return percent(value, metric.digits) if metric.share else f"{value:.{metric.digits}f}"
