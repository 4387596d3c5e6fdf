"""The metrics against values worked out by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn import metrics

from shared.evaluation.classification import (
    ClassScore,
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    macro_f1,
    per_class_table,
    top_k_accuracy,
)

pytestmark = pytest.mark.unit

TRUTH = [0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 1, 1, 1, 0]


def random_answers(seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 9, 200)
    return truth, np.where(rng.random(200) < 0.7, truth, rng.integers(0, 11, 200))


def test_values_worked_out_by_hand() -> None:
    assert accuracy(TRUTH, PREDICTED) == pytest.approx(4 / 6)
    # F1: 2*2/(3+3), 2*2/(2+3), 0
    assert macro_f1(TRUTH, PREDICTED) == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    assert confusion_matrix(TRUTH, PREDICTED, 3).tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_a_class_that_the_model_does_not_know_is_never_right() -> None:
    assert accuracy([0, -1, -1, 1], [0, 1, -1, 0]) == 0.25


def test_the_per_class_table_by_hand() -> None:
    table = per_class_table(TRUTH, PREDICTED, ["a", "b", "c", "never"])
    assert table[0] == ClassScore("a", 2 / 3, 2 / 3, 2 / 3, 3, 3)
    assert table[1] == ClassScore("b", 2 / 3, 1.0, 0.8, 2, 3)
    assert table[2] == ClassScore("c", 0.0, 0.0, 0.0, 1, 0)
    assert table[3] == ClassScore("never", 0.0, 0.0, 0.0, 0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed: int) -> None:
    truth, predicted = random_answers(seed)
    assert accuracy(truth, predicted) == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert macro_f1(truth, predicted) == pytest.approx(
        metrics.f1_score(truth, predicted, average="macro", zero_division=0)
    )
    labels = [f"class {number}" for number in range(11)]
    theirs = metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(11), zero_division=0
    )
    ours = per_class_table(truth, predicted, labels)
    np.testing.assert_allclose([row.precision for row in ours], theirs[0])
    np.testing.assert_allclose([row.recall for row in ours], theirs[1])
    np.testing.assert_allclose([row.f1 for row in ours], theirs[2])
    assert [row.support for row in ours] == theirs[3].tolist()


def test_top_k_by_hand_and_by_scikit_learn() -> None:
    rows = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    assert top_k_accuracy([1, 2, 2], rows, k=1) == pytest.approx(1 / 3)
    assert top_k_accuracy([1, 2, 2], rows, k=2) == pytest.approx(2 / 3)
    assert top_k_accuracy([1, 2, 2], rows, k=3) == 1.0
    rng = np.random.default_rng(0)
    scores, truth = rng.dirichlet(np.ones(7), 300), rng.integers(0, 7, 300)
    assert top_k_accuracy(truth, scores, 3) == pytest.approx(
        metrics.top_k_accuracy_score(truth, scores, k=3, labels=range(7))
    )


def test_ties_count_as_argmax_does() -> None:
    rows = np.full((4, 4), 0.25)
    assert top_k_accuracy([0, 1, 2, 3], rows, k=1) == 0.25
    assert top_k_accuracy([0, 1, 2, 3], rows, k=3) == 0.75


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="one at least"):
        accuracy([], [])
    with pytest.raises(ValueError, match="same rows"):
        accuracy([0, 1, 2], [0, 1])
    with pytest.raises(ValueError, match="at least one row"):
        macro_f1([], [])
    with pytest.raises(ValueError, match="3 rows of truth, 2"):
        macro_f1([0, 1, 2], [0, 1])
    with pytest.raises(ValueError, match="not negative"):
        macro_f1([0, -1], [0, 1])
    with pytest.raises(ValueError, match="not below 2"):
        confusion_matrix([0, 2], [0, 1], 2)


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    hits = np.repeat([1.0, 0.0], [900, 100])
    low, high = bootstrap_interval(hits, seed=1, samples=4000)
    half = norm.ppf(0.975) * np.sqrt(0.9 * 0.1 / 1000)
    assert low == pytest.approx(0.9 - half, abs=0.002)
    assert high == pytest.approx(0.9 + half, abs=0.002)
    assert (low, high) == bootstrap_interval(hits, seed=1, samples=4000)
    assert (low, high) != bootstrap_interval(hits, seed=2, samples=4000)


def test_the_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for trial in range(200):
        low, high = bootstrap_interval(rng.random(150) < 0.8, seed=trial, samples=300)
        held += low <= 0.8 <= high
    assert 0.89 <= held / 200 <= 0.99


def test_a_metric_over_two_columns() -> None:
    truth, predicted = random_answers(4)
    low, high = bootstrap_interval(
        np.column_stack([truth, predicted]),
        seed=0,
        metric=lambda rows: macro_f1(rows[:, 0], rows[:, 1]),
        samples=300,
    )
    assert low < macro_f1(truth, predicted) < high
    assert 0.03 < high - low < 0.25
    with pytest.raises(ValueError, match="metric"):
        bootstrap_interval(np.column_stack([truth, predicted]), seed=0)
