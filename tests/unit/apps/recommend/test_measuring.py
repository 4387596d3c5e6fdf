"""What a protocol measures, with a ranker that counts its fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from apps.recommend.measuring import Protocol, measure, summary_of, tasks_of
from shared.catalogue import CatalogueItem
from shared.evaluation.ranking import ScoreUsers, item_popularity
from shared.histories import Histories

pytestmark = pytest.mark.unit

DAY = 86_400.0


@dataclass
class CountedFits:
    """Ranks by popularity and remembers what it was fitted on."""

    trains: list[Histories] = field(default_factory=list)

    def __call__(self, train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        self.trains.append(train)
        popular = item_popularity(train).astype(np.float32)
        return lambda _histories, users: np.tile(popular, (len(users), 1))


def data(*, timed: bool) -> tuple[Histories, list[CatalogueItem]]:
    draw = np.random.default_rng(0)
    rows = np.concatenate([draw.choice(30, 8, replace=False) for _ in range(60)])
    times = np.concatenate([np.sort(draw.uniform(0, 100, 8)) for _ in range(60)])
    ids = tuple(f"i{number:02}" for number in range(30))
    histories = Histories(
        ids,
        tuple(f"u{number:02}" for number in range(60)),
        np.arange(0, 481, 8),
        rows.astype(np.int64),
        np.ones(480, np.float32),
        times * DAY if timed else np.full(480, np.nan),
    )
    return histories, [CatalogueItem(item, item) for item in ids]


@pytest.mark.parametrize(
    ("protocol", "tasks", "fits"),
    [("temporal", 4, 4), ("leave-one-out", 1, 1), ("cold-items", 2, 1), ("cold-users", 3, 1)],
)
def test_one_fit_serves_the_tasks_that_share_their_train(
    protocol: Protocol, tasks: int, fits: int
) -> None:
    histories, items = data(timed=True)
    fit, said = CountedFits(), list[str]()
    asked = tasks_of(histories, protocol, windows=4, window_days=10)
    measured = measure(fit, asked, items, seed=1, report=said.append)
    assert len(measured.evaluations) == len(said) == tasks
    assert len(fit.trains) == fits
    summary = summary_of(measured, protocol, timed=True, seed=1)
    assert summary.keys() >= {"recall@10", "ndcg@10", "hit_rate@10", "coverage@10", "novelty@10"}
    assert "descending" not in summary, "where there are times they tell the order"
    assert ("by" in summary) == (protocol in ("temporal", "cold-users"))
    assert ("among_all" in summary) == (protocol == "cold-items")


def test_cold_items_are_easier_among_themselves() -> None:
    histories, items = data(timed=False)
    measured = measure(CountedFits(), tasks_of(histories, "cold-items", seed=2), items, seed=1)
    summary = summary_of(measured, "cold-items", timed=False, seed=1)
    assert summary["recall@10"] == 1.0, "there are three of them"
    assert summary["among_all"]["recall@10"] == 0.0, "popularity never saw them"


def test_without_times_the_descending_are_told_and_no_refit_trains_on_less() -> None:
    histories, items = data(timed=False)
    fit = CountedFits()
    for refit in (True, False):
        tasks = tasks_of(histories, "leave-one-out", refit=refit)
        measured = measure(fit, tasks, items, seed=1)
        summary = summary_of(measured, "leave-one-out", timed=False, seed=1)
        assert 0 < summary["descending"]["users"] < summary["users"] == 60
    assert [len(train.rows) for train in fit.trains] == [420, 360]


def test_items_in_another_order_than_their_rows_are_refused() -> None:
    histories, items = data(timed=False)
    with pytest.raises(ValueError, match="order of their rows"):
        measure(CountedFits(), tasks_of(histories, "leave-one-out"), items[::-1], seed=1)
