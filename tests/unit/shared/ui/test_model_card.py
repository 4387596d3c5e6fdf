"""A card's metrics as a table and as charts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.api.shapes import ModelVersionSummary
from shared.ui.model_card import (
    comparison_chart,
    history_chart,
    interval_of,
    metrics_table,
    value_at,
)

pytestmark = pytest.mark.unit

METRICS = {
    "accuracy": 0.942,
    "macro_f1": 0.94,
    "negative_log_likelihood": 0.2134,
    "out_of_scope": {"auroc": 0.9861},
    "coverage_at_target": 0.8,
    "intervals": {"accuracy": [0.93, 0.953]},
}


def test_values_are_found_by_their_path_and_their_absence_is_none() -> None:
    assert value_at(METRICS, "out_of_scope.auroc") == 0.9861
    assert value_at(METRICS, "out_of_scope.auprc") is None
    assert value_at({"out_of_scope": None}, "out_of_scope.auroc") is None
    assert value_at({"accuracy": "good"}, "accuracy") is None
    assert interval_of(METRICS, "accuracy") == (0.93, 0.953)
    assert interval_of({}, "accuracy") is None


def test_the_table_holds_what_there_is_in_a_fixed_order() -> None:
    table = metrics_table(METRICS)
    assert table["metric"].tolist() == [
        "Accuracy",
        "Macro F1",
        "Answered by the bot",
        "Negative log-likelihood",
        "Out-of-scope AUROC",
    ]
    assert table["value"].tolist() == ["94.2 %", "94.0 %", "80.0 %", "0.213", "0.986"]
    assert table["95 % interval"].tolist() == ["93.0 % to 95.3 %", "", "", "", ""]
    assert "in use" not in table.columns


def test_the_version_in_use_stands_beside_another() -> None:
    table = metrics_table(METRICS, {"accuracy": 0.93})
    assert table["in use"].tolist() == ["93.0 %", "–", "–", "–", "–"]


def test_a_card_without_metrics_is_an_empty_table() -> None:
    assert metrics_table({}).empty


def test_the_comparison_holds_both_versions() -> None:
    spec = comparison_chart(METRICS, "v2", {"accuracy": 0.93}).to_dict()
    bars, *_, ticks = spec["layer"]
    assert [row["value"] for row in spec["datasets"][bars["data"]["name"]]] == [0.942, 0.94, 0.8]
    assert [row["value"] for row in spec["datasets"][ticks["data"]["name"]]] == [0.93]
    assert bars["encoding"]["x"]["scale"]["domain"] == [0, 1]


def test_the_history_shows_each_measured_version_with_its_interval() -> None:
    versions = [
        ModelVersionSummary(
            app="support",
            version=name,
            created_at=datetime(2026, 11, 24, tzinfo=UTC),
            method="full",
            encoder="e",
            metrics=metrics,
            in_use=name == "b",
        )
        for name, metrics in (("b", METRICS), ("a", {"accuracy": 0.9}), ("unmeasured", {}))
    ]
    (rows,) = history_chart(versions).to_dict()["datasets"].values()
    assert [(row["version"], row["state"], row["low"], row["high"]) for row in rows] == [
        ("b", "in use", 0.93, 0.953),
        ("a", "kept", 0.9, 0.9),
    ]
