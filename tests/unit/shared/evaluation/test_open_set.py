"""In-scope scores and their measures, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn import metrics

from shared.evaluation.open_set import (
    auprc,
    auroc,
    energy,
    false_positive_rate_at_95,
    maximum_probability,
    neighbour_similarity,
)

pytestmark = pytest.mark.unit


def test_energy_agrees_with_scipy_and_grows_with_the_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (20, 7))
    np.testing.assert_allclose(energy(logits), logsumexp(logits, axis=1))
    np.testing.assert_allclose(energy(logits, 3.0), 3 * logsumexp(logits / 3, axis=1))
    assert energy([[2000.0, 0.0]])[0] == pytest.approx(2000.0)
    assert (energy(logits + 1) > energy(logits)).all()


def test_maximum_probability() -> None:
    assert maximum_probability([[0.2, 0.8], [0.5, 0.5]]).tolist() == [0.8, 0.5]


def test_neighbour_similarity_by_hand() -> None:
    bank = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    scores = neighbour_similarity([[1.0, 0.0], [0.0, -1.0]], bank, k=2)
    np.testing.assert_allclose(scores, [(1 + 0.6) / 2, (0 - 0.8) / 2], atol=1e-7)


def test_neighbour_similarity_is_the_same_in_blocks_and_with_a_small_bank() -> None:
    rng = np.random.default_rng(1)
    queries, bank = rng.normal(size=(50, 8)), rng.normal(size=(30, 8))
    exact = np.sort(queries @ bank.T, axis=1)[:, -5:].mean(axis=1)
    np.testing.assert_allclose(neighbour_similarity(queries, bank, block=7), exact, rtol=1e-4)
    np.testing.assert_allclose(
        neighbour_similarity(queries, bank[:3], k=5),
        (queries @ bank[:3].T).mean(axis=1),
        rtol=1e-4,
        atol=1e-6,
    )
    with pytest.raises(ValueError, match="at least one row"):
        neighbour_similarity(queries, bank[:0])


def test_auroc_counts_pairs() -> None:
    assert auroc([3.0, 2.0], [1.0, 2.0]) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert auroc([1.0], [0.0]) == 1.0
    assert auroc([0.0], [1.0]) == 0.0
    with pytest.raises(ValueError, match="at least one score"):
        auroc([1.0], [])


def test_auprc_takes_out_of_scope_as_positive() -> None:
    # Flagged from the lowest: out, in, out -> precision 1 at the first, 2/3 at the second.
    assert auprc([2.0, 4.0], [1.0, 3.0]) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_both_agree_with_scikit_learn_ties_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside, outside = rng.normal(1, 1, 300).round(1), rng.normal(0, 1, 80).round(1)
    out = np.repeat([0, 1], [300, 80])
    scores = -np.concatenate([inside, outside])
    assert auroc(inside, outside) == pytest.approx(metrics.roc_auc_score(out, scores))
    assert auprc(inside, outside) == pytest.approx(metrics.average_precision_score(out, scores))


def test_false_positive_rate_at_95_by_hand() -> None:
    inside = np.arange(1.0, 101.0)  # 95 of 100 pass at 6
    assert false_positive_rate_at_95(inside, [5.0, 6.0, 7.0, 0.0]) == 0.5
    assert false_positive_rate_at_95([1.0], [1.0]) == 1.0
