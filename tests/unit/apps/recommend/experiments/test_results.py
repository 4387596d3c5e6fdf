"""Counts of arms become rates and differences."""

from __future__ import annotations

import pytest

from apps.recommend.experiments.intervals import NOTHING, newcombe, wilson
from apps.recommend.experiments.results import NONE_SHOWN, ArmCounts, compare

pytestmark = pytest.mark.unit


def test_every_arm_is_compared_with_the_first() -> None:
    counts = {"a": ArmCounts(1000, 30, 400), "c": ArmCounts(500, 40, 200)}
    first, second, third = compare(["a", "b", "c"], counts)
    assert (first.name, first.rate, first.difference) == ("a", wilson(30, 1000), None)
    assert (second.counts, second.rate, second.difference) == (NONE_SHOWN, NOTHING, NOTHING)
    assert third.rate == wilson(40, 500)
    assert third.difference == newcombe(40, 500, 30, 1000)
    assert third.difference is not None
    assert third.difference.low is not None
    assert third.difference.low > 0
