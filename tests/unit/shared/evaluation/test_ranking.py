"""The evaluator against a plain one, written from the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.evaluation.ranking import (
    ScoreUsers,
    best_rows,
    evaluate_ranking,
    item_popularity,
    pooled,
    target_ranks,
)
from shared.evaluation.ranking_protocols import RankingTask, leave_one_out
from shared.histories import Histories, Rows

pytestmark = pytest.mark.unit


def histories(seed: int, users: int = 30, items: int = 25, events: int = 6) -> Histories:
    draw = np.random.default_rng(seed)
    rows = [draw.choice(items, events, replace=False) for _ in range(users)]
    return Histories(
        tuple(f"i{number:02}" for number in range(items)),
        tuple(f"u{number:02}" for number in range(users)),
        np.arange(0, users * events + 1, events, dtype=np.int64),
        np.concatenate(rows).astype(np.int64),
        np.ones(users * events, np.float32),
        np.full(users * events, np.nan),
    )


def scorer(table: np.ndarray) -> ScoreUsers:
    """Scores from a table, a row a user of the histories shown."""
    return lambda _histories, users: table[users].astype(np.float32)


def plain_ranks(table: np.ndarray, task: RankingTask) -> list[int]:
    """From the definition: unseen candidates that score at least as much stand before it."""
    found = []
    for user, (target,) in zip(task.users, task.targets, strict=True):
        seen = set(task.history.of_user(int(user)).rows.tolist())
        found.append(
            sum(
                table[user, row] >= table[user, target]
                for row in range(task.history.items)
                if row != target and row not in seen and task.candidates[row]
            )
        )
    return found


@given(st.integers(0, 1000), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_ranks_are_those_of_the_definition_with_many_ties(seed: int, levels: int) -> None:
    task = leave_one_out(histories(seed))
    table = np.random.default_rng(seed).integers(0, levels, (30, 25)).astype(float)
    found = evaluate_ranking(scorer(table), task, ks=(3, 10), chunk=7)
    assert found.ranks.tolist() == plain_ranks(table, task)
    expected = np.mean(found.ranks < 3)
    assert found.metrics["recall@3"] == found.metrics["hit_rate@3"] == pytest.approx(expected)


def test_ties_are_against_the_target() -> None:
    task = leave_one_out(histories(1))
    metrics = evaluate_ranking(scorer(np.zeros((30, 25))), task).metrics
    assert metrics["recall@10"] == 0.0, "20 unseen items, and 19 of them stand before it"


def test_a_perfect_model_finds_all_and_candidates_bound_the_lists() -> None:
    task = leave_one_out(histories(2))
    table = np.zeros((30, 25))
    for user, (target,) in zip(task.users, task.targets, strict=True):
        table[user, target] = 1.0
    perfect = evaluate_ranking(scorer(table), task)
    assert perfect.metrics["recall@10"] == perfect.metrics["ndcg@10"] == 1.0
    targets = np.unique(np.concatenate(task.targets))
    few = np.zeros(25, bool)
    few[targets] = True
    bounded = evaluate_ranking(scorer(table), task.among(few, "few"))
    assert set(bounded.shown.ravel()) <= {-1, *targets.tolist()}
    assert bounded.metrics["coverage@20"] == 1.0


def test_lists_hold_no_item_that_the_user_met_and_none_that_was_withheld() -> None:
    task = leave_one_out(histories(3))
    table = np.random.default_rng(3).normal(size=(30, 25))
    table[:, 4] = -np.inf
    found = evaluate_ranking(scorer(table), task, ks=(20,))
    for user, shown in zip(task.users, found.shown, strict=True):
        seen = set(task.history.of_user(int(user)).rows.tolist())
        rows = [row for row in shown if row >= 0]
        assert not seen & set(rows)
        assert 4 not in rows
        assert rows == sorted(rows, key=lambda row: -table[user, row])
        assert len(rows) == min(20, 25 - len(seen | {4}))
    for place, (target,) in enumerate(task.targets):
        if target == 4:
            assert found.ranks[place] >= 25


def test_chunks_do_not_matter_and_progress_is_heard() -> None:
    task = leave_one_out(histories(4))
    table = np.random.default_rng(4).normal(size=(30, 25))
    vectors = np.eye(25, 8, dtype=np.float32)
    heard: list[tuple[int, int]] = []
    one = evaluate_ranking(scorer(table), task, vectors=vectors)
    many = evaluate_ranking(
        scorer(table), task, vectors=vectors, chunk=7, report=lambda *done: heard.append(done)
    )
    assert one.metrics == many.metrics
    assert heard == [(7, 30), (14, 30), (21, 30), (28, 30), (30, 30)]


def test_several_targets_do_not_stand_in_each_others_way() -> None:
    scores = np.array([[5.0, 4.0, 3.0, 3.0, 1.0, -np.inf]], np.float32)
    assert target_ranks(scores.copy(), [np.array([3, 0, 4])]).tolist() == [3, 0, 4]
    assert target_ranks(scores.copy(), [np.array([5, 1])]).tolist() == [7, 1]
    assert target_ranks(scores.copy(), [np.array([2, 3])]).tolist() == [2, 3]


def test_the_lower_row_stands_first_among_equals() -> None:
    scores = np.array([[1, 2, 2, 2, 3], [0, 0, 0, 0, 0]], np.float32)
    assert best_rows(scores, 3).tolist() == [[4, 1, 2], [0, 1, 2]]
    assert best_rows(scores, 7)[0].tolist() == [4, 1, 2, 3, 0, -1, -1]


def test_descending_users_are_those_whose_target_has_the_lower_id() -> None:
    task = leave_one_out(histories(5))
    table = np.tile(np.arange(25.0), (30, 1))
    found = evaluate_ranking(scorer(table), task, ks=(5,))
    lower = [
        task.targets[place][0] < task.history.of_user(int(user)).rows[-1]
        for place, user in enumerate(task.users)
    ]
    assert found.descends.tolist() == lower
    descending = found.descending
    assert descending is not None
    assert descending["users"] == sum(lower)
    assert descending["recall@5"] == pytest.approx(np.mean(found.ranks[lower] < 5))
    assert descending.keys() == found.metrics.keys()
    assert descending["recall@5"] < found.metrics["recall@5"], "high ids are all it recommends"


def test_scores_that_are_no_numbers_or_of_another_shape_are_refused() -> None:
    task = leave_one_out(histories(6))
    with pytest.raises(ValueError, match="not a number"):
        evaluate_ranking(scorer(np.full((30, 25), np.nan)), task)
    with pytest.raises(ValueError, match="shape"):
        evaluate_ranking(scorer(np.zeros((30, 24))), task)


def test_pooled_lists_count_the_same_and_users_once() -> None:
    task = leave_one_out(histories(7))
    tables = [np.random.default_rng(seed).normal(size=(30, 25)) for seed in (0, 1)]
    first, second = (evaluate_ranking(scorer(table), task) for table in tables)
    whole = pooled([first, second], "both")
    assert whole.metrics["lists"] == 60
    assert whole.metrics["users"] == 30
    mean = (first.metrics["ndcg@10"] + second.metrics["ndcg@10"]) / 2
    assert whole.metrics["ndcg@10"] == pytest.approx(mean)
    same = pooled([first, first], "twice").metrics
    assert same["standard_error"] == pytest.approx(first.metrics["standard_error"])
    assert same["coverage@10"] == first.metrics["coverage@10"]


def test_models_are_compared_on_the_same_lists() -> None:
    task = leave_one_out(histories(8, users=200))
    noise = np.random.default_rng(8).normal(size=(200, 25))
    better = noise.copy()
    for user, (target,) in zip(task.users, task.targets, strict=True):
        better[user, target] += 2.0
    good, bad = (evaluate_ranking(scorer(table), task) for table in (better, noise))
    mean, low, high = good.against(bad, "ndcg@10", seed=1)
    assert mean == pytest.approx(good.metrics["ndcg@10"] - bad.metrics["ndcg@10"])
    assert 0 < low < mean < high
    assert good.against(good, "ndcg@10", seed=1) == (0.0, 0.0, 0.0)
    other = evaluate_ranking(scorer(noise), leave_one_out(histories(8)))
    with pytest.raises(ValueError, match="same lists"):
        good.against(other, "ndcg@10", seed=1)


def test_a_summary_has_intervals_about_every_mean() -> None:
    task = leave_one_out(histories(9))
    table = np.random.default_rng(9).normal(size=(30, 25))
    summary = evaluate_ranking(scorer(table), task, vectors=np.eye(25, dtype=np.float32)).summary(
        seed=1
    )
    for name in ("recall@10", "ndcg@20", "hit_rate@10", "novelty@10", "diversity@20"):
        low, high = summary["intervals"][name]
        assert low <= summary[name] <= high
    assert summary["diversity@10"] == pytest.approx(1.0), "unit vectors at right angles"


def test_popularity_counts_users_and_not_events_or_dislikes() -> None:
    rows: Rows = np.array([0, 0, 1, 0, 2], np.int64)
    strengths = np.array([1, 1, 1, 1, -1], np.float32)
    found = item_popularity(
        Histories(("a", "b", "c"), ("u", "v"), np.array([0, 3, 5]), rows, strengths, rows * 0.0)
    )
    assert found.tolist() == [2, 1, 0]
