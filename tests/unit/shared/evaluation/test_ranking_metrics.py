"""Metrics of ranked lists, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from shared.evaluation.ranking_metrics import (
    debiased_hit_rate,
    diversity,
    hit_rate,
    inverse_propensity,
    mean_intervals,
    ndcg,
    novelty,
    recall,
    self_information,
    standard_error,
)

pytestmark = pytest.mark.unit

RANKS = np.array([0, 5, 12, 9, 10])
OWNERS = np.array([0, 0, 0, 1, 2])


def test_recall_and_hit_rate_by_hand() -> None:
    assert recall(RANKS, OWNERS, 3, 10).tolist() == [pytest.approx(2 / 3), 1.0, 0.0]
    assert hit_rate(RANKS, OWNERS, 3, 10).tolist() == [1.0, 1.0, 0.0]
    assert recall(RANKS, OWNERS, 3, 11).tolist() == [pytest.approx(2 / 3), 1.0, 1.0]


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_ndcg_agrees_with_scikit_learn(k: int) -> None:
    draw = np.random.default_rng(0)
    for targets in (1, 4, 25):
        scores = draw.normal(size=50)
        relevant = np.zeros(50)
        relevant[draw.choice(50, targets, replace=False)] = 1
        order = np.argsort(-scores)
        ranks = np.flatnonzero(relevant[order])
        ours = ndcg(ranks, np.zeros(targets, int), 1, k)
        assert ours[0] == pytest.approx(ndcg_score([relevant], [scores], k=k))


def test_rare_items_weigh_more_in_the_debiased_hit_rate() -> None:
    weights = inverse_propensity(np.array([100, 4, 0]))
    assert weights.tolist() == [0.1, 0.5, 1.0]
    assert debiased_hit_rate(np.array([0, 20]), weights[:2], 10) == pytest.approx(0.1 / 0.6)
    assert debiased_hit_rate(np.array([20, 0]), weights[:2], 10) == pytest.approx(0.5 / 0.6)


def test_novelty_is_the_mean_of_bits_over_the_places_that_are_filled() -> None:
    bits = self_information(np.array([8, 4, 1, 0]), 8)
    assert bits.tolist() == [0.0, 1.0, 3.0, 3.0]
    assert novelty(np.array([[0, 2], [1, -1], [-1, -1]]), bits).tolist() == [1.5, 1.0, 0.0]


def test_diversity_is_one_minus_the_mean_cosine_of_pairs() -> None:
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(20, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lists = np.array([[3, 7, 11, 2], [5, 6, -1, -1], [9, -1, -1, -1]])
    pairs = [vectors[a] @ vectors[b] for i, a in enumerate(lists[0]) for b in lists[0][i + 1 :]]
    expected = [1 - np.mean(pairs), 1 - vectors[5] @ vectors[6], 0.0]
    np.testing.assert_allclose(diversity(lists, vectors), expected, rtol=1e-5)
    assert diversity(np.array([[4, 4, 4]]), vectors)[0] == pytest.approx(0.0, abs=1e-6)


def test_the_standard_error_of_users_with_one_value_each_is_the_usual_one() -> None:
    values = np.random.default_rng(2).random(50)
    assert standard_error(values, np.arange(50)) == pytest.approx(values.std() / np.sqrt(50))
    doubled = standard_error(np.repeat(values, 2), np.repeat(np.arange(50), 2))
    assert doubled == pytest.approx(values.std() / np.sqrt(50)), "the same user twice tells no more"


def test_intervals_hold_the_mean_and_keep_columns_together() -> None:
    draw = np.random.default_rng(3)
    values = draw.random((400, 1))
    both = np.hstack([values, values + 1.0])
    first, second = mean_intervals(both, np.arange(400), seed=1)
    assert first[0] < values.mean() < first[1]
    np.testing.assert_allclose(second, first + 1.0)
    half = 1.96 * values.std() / 20
    assert (first[1] - first[0]) / 2 == pytest.approx(half, rel=0.15)
    np.testing.assert_array_equal(mean_intervals(both, np.arange(400), seed=1)[0], first)
