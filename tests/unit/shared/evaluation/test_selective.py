"""Risk against coverage by hand, the exact bound, and a simulation of what is promised."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from shared.evaluation.selective import (
    GRID,
    NEVER,
    choose_threshold,
    clopper_pearson_upper,
    first_tested_count,
    measure_threshold,
    risk_coverage,
)

pytestmark = pytest.mark.unit

Floats = NDArray[np.float64]


def test_the_curve_by_hand() -> None:
    curve = risk_coverage([0.9, 0.8, 0.7, 0.6], [True, False, True, True])
    assert curve.threshold.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(curve.risk, [0, 1 / 2, 1 / 3, 1 / 4])
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_equal_confidences_are_answered_together_in_whatever_order_they_come() -> None:
    scores, hits = np.array([0.9, 0.5, 0.5, 0.5]), np.array([True, True, False, False])
    first, second = risk_coverage(scores, hits), risk_coverage(scores[::-1], hits[::-1])
    assert first.coverage.tolist() == second.coverage.tolist() == [0.25, 1.0]
    assert first.risk.tolist() == second.risk.tolist() == [0.0, 0.5]
    assert first.area == second.area == pytest.approx(0.25 * 0 + 0.75 * 0.5)


def test_a_better_order_has_a_smaller_area() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(2000)
    hits = rng.random(2000) < scores
    assert risk_coverage(scores, hits).area < risk_coverage(rng.random(2000), hits).area - 0.1


@pytest.mark.parametrize(("errors", "n"), [(0, 114), (3, 40), (10, 800), (40, 40)])
def test_the_bound_agrees_with_scipys_exact_interval(errors: int, n: int) -> None:
    # The upper end of a two-sided 80 % interval leaves 10 % above it.
    theirs = binomtest(errors, n).proportion_ci(0.8, method="exact").high
    assert clopper_pearson_upper(errors, n, 0.1) == pytest.approx(theirs, rel=1e-6)


def test_the_bound_is_the_rate_at_which_so_few_errors_are_just_too_rare() -> None:
    assert binom.cdf(7, 500, clopper_pearson_upper(7, 500, 0.05)) == pytest.approx(0.05)
    assert clopper_pearson_upper(0, 0, 0.1) == 1.0
    with pytest.raises(ValueError):
        clopper_pearson_upper(5, 4, 0.1)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_the_bound_holds_in_simulation(rate: float) -> None:
    rng = np.random.default_rng(7)
    counts = rng.binomial(300, rate, 20_000)
    bounds = np.array([clopper_pearson_upper(int(k), 300, 0.1) for k in range(301)])
    assert np.mean(bounds[counts] < rate) <= 0.1 + 0.01


def test_the_first_test_can_be_passed_and_is_not_put_off_for_ever() -> None:
    assert first_tested_count(10, 0.02, 0.1) == 114  # .98 ** 114 < .1 < .98 ** 113
    assert clopper_pearson_upper(0, 114, 0.1) <= 0.02 < clopper_pearson_upper(0, 113, 0.1)
    assert first_tested_count(500, 0.02, 0.1) == 250
    many = first_tested_count(100_000, 0.02, 0.1)
    assert clopper_pearson_upper(4, many, 0.1) <= 0.02
    assert many < 450


def test_the_grid_is_strict_to_loose_and_ends_at_answering_all() -> None:
    assert all(strict > loose for strict, loose in pairwise(GRID))
    assert GRID[-1] == 0.0
    assert GRID[0] > 0.999


def world_ranked(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    """Scores that rank errors well: sure ones are nearly always right."""
    scores = rng.beta(4, 0.7, n)
    return scores, np.clip(1.002 - scores, 0, 1) ** 1.3


def world_hard(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    """Scores with nearly no safe region: the error sits just above the target."""
    scores = rng.random(n)
    return scores, 0.051 + 0.1 * (1 - scores)


def world_flat(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    """Scores that say nothing: the error is the same everywhere, just above the target."""
    scores = rng.random(n)
    return scores, np.full(n, 0.0505)


def world_deceptive(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    """The surest are the worst: confident nonsense above a safe middle."""
    scores = rng.random(n)
    return scores, np.where(scores > 0.97, 0.5, 0.02)


@pytest.mark.parametrize("world", [world_ranked, world_hard, world_flat, world_deceptive])
def test_the_promise_holds_in_simulation(
    world: Callable[[np.random.Generator, int], tuple[Floats, Floats]],
) -> None:
    """Over draws of 600 examples the true error is above 5 % in at most 10 % of them."""
    rng = np.random.default_rng(11)
    large_scores, large_risk = world(rng, 400_000)
    order = np.argsort(-large_scores)
    sorted_scores = large_scores[order]
    running = np.cumsum(large_risk[order]) / np.arange(1, len(order) + 1)

    trials, broken, answered = 400, 0, 0.0
    for _ in range(trials):
        scores, risk = world(rng, 600)
        chosen = choose_threshold(scores, rng.random(600) >= risk, target_error=0.05)
        answered += chosen.coverage
        if chosen.certified:
            reached = int(np.searchsorted(-sorted_scores, -chosen.threshold, side="right"))
            broken += running[reached - 1] > 0.05
    assert broken / trials <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / trials)
    if world is world_ranked:
        assert answered / trials > 0.5, "a bound that never lets an answer out is no use"


def test_the_chosen_threshold_says_what_it_does() -> None:
    rng = np.random.default_rng(5)
    scores, risk = world_ranked(rng, 2000)
    hits = rng.random(2000) >= risk
    chosen = choose_threshold(scores, hits, target_error=0.05, delta=0.1)
    mask = scores >= chosen.threshold
    assert chosen.certified
    assert chosen.threshold in GRID
    assert chosen.coverage == pytest.approx(mask.mean())
    assert chosen.error == pytest.approx((~hits[mask]).mean())
    assert chosen.error < chosen.bound <= 0.05
    looser = GRID[GRID.index(chosen.threshold) + 1]
    assert not measure_threshold(scores, hits, looser, target_error=0.05).certified
    again = measure_threshold(scores, hits, chosen.threshold, target_error=0.05)
    assert again == chosen


def test_all_right_is_all_answered() -> None:
    chosen = choose_threshold(np.full(200, 0.7), np.ones(200, bool), target_error=0.02)
    assert (chosen.threshold, chosen.coverage, chosen.certified) == (0.0, 1.0, True)


@pytest.mark.parametrize(("n", "right"), [(200, False), (50, True)])
def test_when_nothing_is_certified_nothing_is_answered(n: int, right: bool) -> None:
    chosen = choose_threshold(np.full(n, 1.0), np.full(n, right), target_error=0.02)
    assert not chosen.certified
    assert chosen.threshold >= NEVER
    assert (chosen.coverage, chosen.error, chosen.bound) == (0.0, 0.0, 1.0)


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        choose_threshold([0.5], [True], target_error=0.0)
    with pytest.raises(ValueError, match="strict to loose"):
        choose_threshold([0.5], [True], target_error=0.1, grid=(0.1, 0.2))
    with pytest.raises(ValueError, match="shape"):
        choose_threshold([], [], target_error=0.1)
