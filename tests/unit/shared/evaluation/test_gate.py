"""The gate at worse, equal and better candidates, and how often it errs."""

from __future__ import annotations

import numpy as np
import pytest

from shared.evaluation.gate import compare_on_gate

pytestmark = pytest.mark.unit


def hits(right: int, n: int) -> np.ndarray:
    return np.repeat([True, False], [right, n - right])


def test_a_worse_candidate_is_refused_with_the_numbers() -> None:
    report = compare_on_gate(hits(80, 100), hits(95, 100), seed=0)
    assert not report.allowed
    assert report.difference == pytest.approx(-0.15)
    assert report.low < report.difference < report.high < 0
    assert (report.n, report.candidate_accuracy, report.current_accuracy) == (100, 0.8, 0.95)
    assert report.reason.startswith("worse: accuracy 80.00% against 95.00%")


def test_an_equal_candidate_is_allowed() -> None:
    same = hits(90, 100)
    report = compare_on_gate(same, same, seed=0)
    assert report.allowed
    assert (report.difference, report.low, report.high) == (0.0, 0.0, 0.0)
    report = compare_on_gate(np.roll(same, 5), same, seed=0)  # as many right, others
    assert report.allowed
    assert report.low < 0 < report.high


def test_a_better_candidate_is_allowed() -> None:
    report = compare_on_gate(hits(97, 100), hits(80, 100), seed=0)
    assert report.allowed
    assert report.low > 0


def test_a_loss_that_chance_explains_is_allowed() -> None:
    current = hits(90, 100)
    candidate = current.copy()
    candidate[[0, 1]] = False
    report = compare_on_gate(candidate, current, seed=0)
    assert report.allowed
    assert report.difference == pytest.approx(-0.02)


def test_pairs_count_and_not_totals() -> None:
    """Twenty losses against no win are worse; twenty losses beside fifteen wins may be chance."""
    current = hits(400, 500)
    lost = current.copy()
    lost[:20] = False
    swapped = lost.copy()
    swapped[-15:] = True
    assert not compare_on_gate(lost, current, seed=0).allowed
    assert compare_on_gate(swapped, current, seed=0).allowed


def test_an_empty_gate_allows_and_says_so() -> None:
    report = compare_on_gate(np.array([], bool), np.array([], bool), seed=0)
    assert report.allowed
    assert report.n == 0
    assert "empty" in report.reason


def test_the_same_seed_gives_the_same_report() -> None:
    rng = np.random.default_rng(0)
    pair = rng.random(200) < 0.8, rng.random(200) < 0.8
    assert compare_on_gate(*pair, seed=1) == compare_on_gate(*pair, seed=1)
    assert compare_on_gate(*pair, seed=1) != compare_on_gate(*pair, seed=2)


def test_pairs_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs"):
        compare_on_gate(hits(1, 2), hits(1, 3), seed=0)


def test_the_interval_agrees_with_a_bootstrap_written_out() -> None:
    rng = np.random.default_rng(4)
    candidate, current = rng.random(300) < 0.85, rng.random(300) < 0.88
    rows = rng.integers(0, 300, (10_000, 300))
    differences = candidate[rows].mean(axis=1) - current[rows].mean(axis=1)
    report = compare_on_gate(candidate, current, seed=0)
    np.testing.assert_allclose(
        [report.low, report.high], np.quantile(differences, [0.025, 0.975]), atol=0.005
    )


def test_an_equal_candidate_is_seldom_refused_and_a_clearly_worse_one_nearly_always() -> None:
    rng = np.random.default_rng(6)

    def refused(rate: float) -> float:
        return float(
            np.mean(
                [
                    not compare_on_gate(
                        rng.random(400) < rate, rng.random(400) < 0.9, seed=trial
                    ).allowed
                    for trial in range(200)
                ]
            )
        )

    assert refused(0.9) <= 0.07
    assert refused(0.78) >= 0.95
