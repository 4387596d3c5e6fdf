"""The recommender's table: what rows of several seeds say."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.recommend import over_seeds

pytestmark = pytest.mark.unit


def run(model: str, recall: float, **more: Any) -> dict[str, Any]:
    metrics = {"recall@10": recall, "among_all": {"recall@10": recall / 2}, "interval": [0, 1]}
    return {"model": model, "metrics": metrics, "revision": "abc", **more}


def test_seeds_of_a_model_are_one_row_of_means() -> None:
    first, second = over_seeds(
        [run("ours", 0.2), run("other", 0.1), run("ours", 0.3, seed=2), run("ours", 0.4, seed=3)]
    )
    assert (first["model"], first["seeds"]) == ("ours", [1, 2, 3])
    assert first["metrics"]["recall@10"] == pytest.approx(0.3)
    assert first["metrics"]["among_all"]["recall@10"] == pytest.approx(0.15)
    assert first["metrics"]["interval"] == [0, 1]
    assert first["spread"] == pytest.approx(0.1)
    assert (second["model"], second["seeds"], second["spread"]) == ("other", [1], None)
