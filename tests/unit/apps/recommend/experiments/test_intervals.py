"""Wilson's and Newcombe's intervals, against printed values and by what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommend.experiments.intervals import NOTHING, Interval, newcombe, wilson

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [  # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_printed(hits: int, n: int, low: float, high: float) -> None:
    interval = wilson(hits, n)
    assert interval.estimate == pytest.approx(hits / n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe, "Interval estimation for the difference", 1998, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((10, 10, 0, 20), 0.6791, 1.0000),
    ],
)
def test_newcombe_as_printed(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    interval = newcombe(*counts)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000), st.data())
def test_the_estimate_lies_within_and_the_mirror_image_is_mirrored(
    n: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, n))
    one, mirrored = wilson(hits, n), wilson(n - hits, n)
    assert one.low is not None
    assert one.estimate is not None
    assert one.high is not None
    assert 0 <= one.low <= one.estimate <= one.high <= 1
    assert (mirrored.high, mirrored.low) == pytest.approx((1 - one.low, 1 - one.high))


@given(*[st.integers(0, 200)] * 4)
def test_a_difference_turned_round_changes_its_sign(a: int, b: int, c: int, d: int) -> None:
    one, other = newcombe(a, a + b, c, c + d), newcombe(c, c + d, a, a + b)
    if one == NOTHING:
        assert other == NOTHING
        return
    assert other == Interval(*(pytest.approx(-x) for x in (one.estimate, one.high, one.low)))  # type: ignore[operator, arg-type]


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    held = []
    for hits, others in zip(
        rng.binomial(400, 0.03, 2000), rng.binomial(300, 0.05, 2000), strict=True
    ):
        interval = newcombe(int(hits), 400, int(others), 300)
        assert interval.low is not None
        assert interval.high is not None
        held.append(interval.low <= -0.02 <= interval.high)
    assert 0.93 < np.mean(held) < 0.975


def test_nothing_is_said_of_nothing() -> None:
    assert wilson(0, 0) == NOTHING
    assert newcombe(1, 2, 0, 0) == NOTHING
    with pytest.raises(ValueError, match="3 hits in 2 trials"):
        wilson(3, 2)
