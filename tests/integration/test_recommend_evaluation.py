"""``triptych evaluate recommend`` from files, and Amazon Beauty's popularity as it is known."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from apps.recommend.commands.evaluation import evaluate
from apps.recommend.measuring import measure, summary_of, tasks_of
from data_connectors.recommend_datasets import load_recommend_dataset
from models.recommendation.baselines import popularity
from shared.histories import histories_of
from shared.settings import Settings
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.integration

KINDS = ("lamp", "chair", "table", "carpet")


class Shop:
    """Two files: users of one kind of furniture each, who walk through it in order."""

    def __init__(self, folder: Path, *, timed: bool) -> None:
        draw = np.random.default_rng(0)
        self.items, self.events = folder / "items.csv", folder / "events.csv"
        names = [f"{kind} {number}" for kind in KINDS for number in range(8)]
        with self.items.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["sku", "name"])
            writer.writerows([f"i{row:02}", f"{name} for a room"] for row, name in enumerate(names))
        with self.events.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["user", "sku", *(["when"] if timed else [])])
            for user in range(60):
                first, begin = 8 * (user % 4), int(draw.integers(0, 80))
                for step in range(6):
                    item = f"i{first + (user // 4 + step) % 8:02}"
                    when = f"2026-0{1 + (begin + step) // 28}-{1 + (begin + step) % 28:02}"
                    writer.writerow([f"u{user:02}", item, *([when] if timed else [])])
        words = sorted({word for name in names for word in f"{name} for a room".split()})
        self.variables = {
            "TRIPTYCH_HOME": str(folder / "home"),
            "TRIPTYCH_ENCODER": str(tiny_encoder(folder / "encoder", words=words)),
            "COLUMNS": "120",
        }

    def run(self, *options: str) -> Result:
        sources = ("--items", str(self.items), "--events", str(self.events))
        columns = ("--item-id-column", "sku", "--item-column", "sku", "--title-column", "name")
        return CliRunner().invoke(evaluate, [*sources, *columns, *options], env=self.variables)

    def json(self, *options: str) -> dict[str, Any]:
        result = self.run(*options, "--json")
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found


def test_two_files_with_times_are_asked_in_windows(tmp_path: Path) -> None:
    shop = Shop(tmp_path, timed=True)
    options = ("--time-column", "when", "--windows", "3", "--window-days", "14")
    found = shop.json(*options, "--model", "item-knn")
    assert found["protocol"] == "temporal"
    assert found["data"] == {
        "name": "items.csv + events.csv", "items": 32, "users": 60, "events": 360, "rejects": 0,
    }  # fmt: skip
    metrics = found["metrics"]
    assert len(metrics["by"]) == 3
    assert sum(window["lists"] for window in metrics["by"].values()) == metrics["lists"]
    assert metrics["recall@10"] > 0.85, "eight of a kind are all in a list of ten, once known"
    assert 0 < metrics["diversity@10"] < 1
    assert 0 < metrics["standard_error"] < 0.1
    popular = shop.json(*options, "--model", "popularity")["metrics"]
    assert popular["recall@10"] < metrics["recall@10"] - 0.2
    table = shop.run(*options, "--model", "ease")
    assert table.exit_code == 0
    assert "debiased hit rate" in table.stdout
    assert "from 2026-0" in table.stdout


def test_without_times_the_last_is_asked_and_the_descending_are_told(tmp_path: Path) -> None:
    shop = Shop(tmp_path, timed=False)
    found = shop.json("--model", "directed-item-knn", "--no-refit")
    assert (found["protocol"], found["refit"]) == ("leave-one-out", False)
    descending = found["metrics"]["descending"]
    assert 0 < descending["users"] < found["metrics"]["users"] == 60
    assert {"recall@10", "ndcg@10", "hit_rate@10", "coverage@10", "novelty@10", "diversity@10"} <= (
        descending.keys()
    )


def test_the_recommender_and_its_parts_are_measured(tmp_path: Path) -> None:
    shop = Shop(tmp_path, timed=False)
    every, text, popular = (
        shop.json("--model", model)["metrics"] for model in ("all", "text", "popular")
    )
    assert every["recall@10"] > popular["recall@10"]
    assert text["recall@10"] > popular["recall@10"], "kinds stand in the titles"
    cold = shop.json("--protocol", "cold-items")["metrics"]
    assert cold["recall@10"] == 1.0, "there are three unseen items"
    assert 0 <= cold["among_all"]["recall@10"] <= 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--data", "amazon-beauty", "--items", "x.csv"), "brings items, events and columns"),
        (("--events", "x.csv"), "name a data set with --data, or two sources"),
        (("--data", "nowhere"), "nowhere"),
    ],
)
def test_sources_that_do_not_go_together_are_refused(
    options: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(evaluate, options, env={"TRIPTYCH_HOME": str(tmp_path)})
    assert result.exit_code == 1
    assert told in result.stderr


def test_popularity_on_amazon_beauty_is_what_it_is_known_to_be(
    public_data: Path, tmp_path: Path
) -> None:
    data = load_recommend_dataset("amazon-beauty", Settings(data=public_data, home=tmp_path))
    histories = histories_of(data.events, [item.id for item in data.items])
    measured = measure(popularity(), tasks_of(histories, "leave-one-out"), data.items, seed=1)
    found = summary_of(measured, "leave-one-out", timed=histories.timed, seed=1)
    assert found["users"] == 22_363
    assert found["recall@10"] == pytest.approx(0.0130, abs=5e-5)
    assert found["ndcg@10"] == pytest.approx(0.0059, abs=5e-5)
    assert found["coverage@10"] == pytest.approx(0.0013, abs=5e-5)
    assert found["descending"]["users"] == 6_432
