"""Temperature scaling finds the temperature that was put in; the gap is what a hand works out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax as scipy_softmax
from sklearn.metrics import log_loss

from shared.evaluation.calibration import (
    TEMPERATURES,
    confidence_gap,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_bins,
    softmax,
)

pytestmark = pytest.mark.unit


def calibrated_logits(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits whose softmax is the true distribution that the classes are drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 5))
    probabilities = scipy_softmax(logits, axis=1)
    draws = (rng.random((n, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(draws, 4)


def test_softmax_agrees_with_scipy_and_survives_large_logits() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0]])
    np.testing.assert_allclose(softmax(logits), scipy_softmax(logits, axis=1))
    np.testing.assert_allclose(softmax(logits, 2.0), scipy_softmax(logits / 2, axis=1))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_the_temperature_that_was_put_in_is_found(temperature: float) -> None:
    logits, truth = calibrated_logits(20_000, seed=1)
    assert fit_temperature(logits * temperature, truth) == pytest.approx(temperature, rel=0.05)


def test_the_fit_lowers_the_loss_and_the_gap_and_leaves_the_order() -> None:
    logits, truth = calibrated_logits(3000, seed=2)
    sharp = logits * 3
    fitted = softmax(sharp, fit_temperature(sharp, truth))
    assert negative_log_likelihood(fitted, truth) < negative_log_likelihood(softmax(sharp), truth)
    assert expected_calibration_error(fitted, truth) < 0.03
    assert expected_calibration_error(softmax(sharp), truth) > 0.10
    assert (fitted.argmax(axis=1) == sharp.argmax(axis=1)).all()


def test_logits_that_are_always_right_or_wrong_end_near_a_border() -> None:
    logits = np.eye(4).repeat(10, axis=0) * 4
    right = np.arange(4).repeat(10)
    assert TEMPERATURES[0] <= fit_temperature(logits, right) < 0.2
    assert fit_temperature(logits, (right + 1) % 4) == pytest.approx(TEMPERATURES[1], rel=0.01)


def test_the_negative_log_likelihood_agrees_with_scikit_learn() -> None:
    logits, truth = calibrated_logits(500, seed=3)
    assert negative_log_likelihood(softmax(logits), truth) == pytest.approx(
        log_loss(truth, softmax(logits), labels=range(5))
    )
    assert negative_log_likelihood([[1.0, 0.0]], [1]) == pytest.approx(-np.log(1e-12))


def test_the_gap_by_hand() -> None:
    # Two bins of (0, .5], (.5, 1]: .4 and .5 of which one is right, .9 twice of which one is.
    confidence, correct = [0.4, 0.5, 0.9, 0.9], [True, False, True, False]
    low, high = reliability_bins(confidence, correct, bins=2)
    assert (low.count, low.confidence, low.accuracy) == (2, pytest.approx(0.45), 0.5)
    assert (high.count, high.confidence, high.accuracy) == (2, pytest.approx(0.9), 0.5)
    assert confidence_gap(confidence, correct, bins=2) == pytest.approx((0.05 + 0.4) / 2)
    rows = np.array([[0.9, 0.1], [0.9, 0.1]])
    assert expected_calibration_error(rows, [0, 1]) == pytest.approx(0.4)


def test_borders_belong_to_the_bin_below_and_nothing_is_lost() -> None:
    confidence = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    counts = [row.count for row in reliability_bins(confidence, np.ones(6, bool), bins=5)]
    assert counts == [2, 1, 1, 1, 1]
    assert sum(row.count for row in reliability_bins(np.linspace(0, 1, 997), np.ones(997))) == 997


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        reliability_bins([0.5, 0.5], [True])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        reliability_bins([1.5], [True])
    with pytest.raises(ValueError, match="truth of shape"):
        fit_temperature(np.zeros((0, 3)), [])


def test_a_temperature_is_fitted_for_what_is_mixed() -> None:
    draw = np.random.default_rng(4)
    truth = draw.integers(0, 4, 500)
    logits = draw.normal(size=(500, 4))
    logits[np.arange(500), truth] += 2.0
    others = draw.dirichlet(np.ones(4), 500)
    others[np.arange(500), truth] += 1.0
    others /= others.sum(axis=1, keepdims=True)

    def loss(temperature: float) -> float:
        mixed = 0.5 * softmax(logits, temperature) + 0.5 * others
        return negative_log_likelihood(mixed, truth)

    found = fit_temperature(logits, truth, (others, 0.5))
    assert loss(found) <= min(loss(found * 1.05), loss(found / 1.05))
    assert fit_temperature(logits, truth, (others, 0.0)) == fit_temperature(logits, truth)
