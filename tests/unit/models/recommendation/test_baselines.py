"""Baselines against worked examples and against dense arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.recommendation import baselines
from models.recommendation.gram_inverse import BLOCK, invert_in_place
from models.recommendation.history_matrix import decayed_histories, interactions
from shared.catalogue import CatalogueItem
from shared.errors import TrainingError
from shared.evaluation.ranking import FitRanker, evaluate_ranking
from shared.evaluation.ranking_protocols import leave_one_out
from shared.histories import Histories

pytestmark = pytest.mark.unit

DAY = 86_400.0


def made(
    rows: Sequence[Sequence[int]],
    items: int,
    times: Sequence[Sequence[float]] | None = None,
    strengths: Sequence[Sequence[float]] | None = None,
) -> Histories:
    flat = np.array([row for user in rows for row in user], np.int64)
    lengths = [len(user) for user in rows]
    return Histories(
        tuple(f"i{number}" for number in range(items)),
        tuple(f"u{number}" for number in range(len(rows))),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        flat,
        np.ones(len(flat), np.float32)
        if strengths is None
        else np.concatenate([np.array(user, np.float32) for user in strengths]),
        np.full(len(flat), np.nan)
        if times is None
        else np.concatenate([np.array(user, float) * DAY for user in times]),
    )


def catalogue(histories: Histories) -> list[CatalogueItem]:
    return [CatalogueItem(item, f"title of {item}") for item in histories.item_ids]


def scores(fit: FitRanker, train: Histories, shown: Histories | None = None) -> np.ndarray:
    shown = train if shown is None else shown
    ranker = fit(train, catalogue(train), 1)
    return ranker(shown, np.arange(shown.users))


def chains(users: int = 200, items: int = 30, length: int = 6) -> Histories:
    """Users who walk a circle of items upwards, from a place of their own."""
    draw = np.random.default_rng(0)
    starts = draw.integers(0, items, users)
    return made([[(s + i) % items for i in range(length)] for s in starts.tolist()], items)


def test_matrices_leave_out_what_speaks_against_an_item() -> None:
    histories = made([[0, 1, 2, 0], [2]], 3, strengths=[[1, -2, 1, 3], [0.5]])
    assert interactions(histories).toarray().tolist() == [[1, 0, 1], [0, 0, 1]]
    shown = decayed_histories(histories, np.array([1, 0]), 0.5).toarray()
    assert shown.tolist() == [[0, 0, 1], [1.25, 0, 0.5]]


def test_the_inverse_is_that_of_numpy_across_blocks() -> None:
    size = BLOCK + 37
    draw = np.random.default_rng(1)
    factor = draw.normal(size=(size, 40)).astype(np.float32)
    gram = np.asfortranarray(factor @ factor.T + 50 * np.eye(size, dtype=np.float32))
    expected = np.linalg.inv(gram.astype(np.float64))
    np.testing.assert_allclose(invert_in_place(gram), expected, atol=1e-5)


def test_a_matrix_that_has_no_such_inverse_is_refused() -> None:
    with pytest.raises(TrainingError, match="raise the regularisation"):
        invert_in_place(np.asfortranarray(-np.eye(3, dtype=np.float32)))


def test_popularity_is_one_order_for_all() -> None:
    train = made([[0, 1], [1, 2], [1, 2, 2]], 4)
    found = scores(baselines.popularity(), train)
    assert found.tolist() == [[1, 3, 2, 0]] * 3


def test_recent_popularity_forgets_and_breaks_ties_by_all_of_it() -> None:
    train = made([[0, 1], [0, 2], [0, 3]], 5, [[1, 99], [2, 100], [3, 4]])
    recent = scores(baselines.recent_popularity(10), train)[0]
    assert np.argsort(-recent, kind="stable").tolist() == [1, 2, 0, 3, 4]
    untimed = made([[0, 1], [0, 2], [0, 3]], 5)
    assert scores(baselines.recent_popularity(10), untimed)[0].tolist() == [3, 1, 1, 1, 0]


def test_item_neighbours_are_weighted_cosines() -> None:
    draw = np.random.default_rng(2)
    train = made([draw.choice(8, n, replace=False).tolist() for n in (2, 3, 4, 5, 3)], 8)
    taken = interactions(train).toarray()
    weighted = taken * np.log(8 / taken.sum(1, keepdims=True))
    length = np.linalg.norm(weighted, axis=0)
    cosine = weighted.T @ weighted / np.outer(*[np.where(length > 0, length, 1)] * 2)
    np.fill_diagonal(cosine, 0)
    shown = decayed_histories(train, np.arange(5), 0.6).toarray()
    np.testing.assert_allclose(scores(baselines.item_knn(), train), shown @ cosine, rtol=1e-5)


def test_directed_neighbours_know_what_follows_what() -> None:
    train = chains()
    shown = made([[10]], 30)
    both = scores(baselines.item_knn(), train, shown)[0]
    directed = scores(baselines.directed_item_knn(backward=0.25), train, shown)[0]
    assert directed[11] > 2 * directed[9] > 0
    assert directed[11] > directed[12] > directed[13], "nearer pairs count more"
    assert both[11] == pytest.approx(both[9], rel=0.4)
    symmetric = scores(baselines.directed_item_knn(backward=1.0), train, shown)[0]
    assert symmetric[11] == pytest.approx(symmetric[9], rel=0.4)


def test_pairs_do_not_reach_from_one_user_to_the_next() -> None:
    found = scores(baselines.directed_item_knn(), made([[0, 1], [2, 3]], 8))
    assert np.flatnonzero(found[0]).tolist() == [0, 1]
    assert np.flatnonzero(found[1]).tolist() == [2, 3]


def test_ease_solves_the_regression_whose_diagonal_is_zero() -> None:
    draw = np.random.default_rng(3)
    train = made([draw.choice(9, 4, replace=False).tolist() for _ in range(60)], 9)
    taken = interactions(train).toarray().astype(np.float64)
    expected = np.zeros((9, 9))
    for item in range(9):  # ridge regression of each item on all others
        rest = np.delete(np.arange(9), item)
        gram = taken[:, rest].T @ taken[:, rest] + 5.0 * np.eye(8)
        expected[rest, item] = np.linalg.solve(gram, taken[:, rest].T @ taken[:, item])
    single = made([[item] for item in range(9)], 9)
    found = scores(baselines.ease(regularisation=5.0), train, single)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_text_alone_ranks_by_the_mean_of_the_newest_texts() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.8, 0.6], [0.6, 0.8]], np.float32)
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return vectors

    found = scores(baselines.text_mean(embed, decay=0.5), made([[1, 0]], 4))
    assert asked == [f"title of i{number}" for number in range(4)]
    np.testing.assert_allclose(found[0], vectors @ (vectors[0] + 0.5 * vectors[1]), rtol=1e-6)


@pytest.mark.parametrize(
    "fit",
    [baselines.item_knn(), baselines.directed_item_knn(), baselines.ease(regularisation=10.0)],
    ids=["item kNN", "directed item kNN", "EASE"],
)
def test_every_baseline_finds_the_next_step_of_a_walk_better_than_popularity(
    fit: FitRanker,
) -> None:
    task = leave_one_out(chains())
    items = catalogue(task.train)
    found = evaluate_ranking(fit(task.train, items, 1), task, ks=(3,)).metrics["recall@3"]
    popular = baselines.popularity()(task.train, items, 1)
    assert found > 0.9
    assert evaluate_ranking(popular, task, ks=(3,)).metrics["recall@3"] < 0.5


@pytest.mark.parametrize(
    "fit", [baselines.item_knn(), baselines.directed_item_knn(), baselines.ease()]
)
def test_a_user_with_nothing_to_show_has_no_score(fit: FitRanker) -> None:
    assert not scores(fit, chains(), made([[]], 30)).any()
