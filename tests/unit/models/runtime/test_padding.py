"""Every text goes through once, within the budget, and with as little padding as can be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.runtime.padding import CALL, MOST_LENGTHS, padded_batches

pytestmark = pytest.mark.unit


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=120), st.integers(1, 2_000))
def test_every_text_once_within_the_budget(lengths: list[int], budget: int) -> None:
    counted = np.array(lengths, dtype=np.int64)
    batches = list(padded_batches(counted, budget))
    rows = np.concatenate(batches) if batches else np.zeros(0, dtype=np.int64)
    assert sorted(rows.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * int(counted[batch].max()) <= budget


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_no_other_cuts_cost_less(lengths: list[int]) -> None:
    def cost(batches: list[np.ndarray]) -> int:  # type: ignore[type-arg]
        return sum(len(batch) * int(counted[batch].max()) + CALL for batch in batches)

    counted = np.array(lengths, dtype=np.int64)
    order = np.argsort(-counted, kind="stable")
    places = range(1, len(order))
    least = min(
        cost(np.split(order, cuts))
        for count in range(len(order))
        for cuts in itertools.combinations(places, count)
    )
    assert cost(list(padded_batches(counted, 10_000))) == least


def test_many_lengths_are_cut_by_the_budget_alone() -> None:
    lengths = np.arange(1, MOST_LENGTHS + 20)
    batches = list(padded_batches(lengths, 500))
    assert sum(len(batch) for batch in batches) == len(lengths)
    assert max(len(batch) * int(lengths[batch].max()) for batch in batches) <= 500
