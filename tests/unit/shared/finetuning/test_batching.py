"""Every text exactly once, hardly any padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.finetuning.batching import TokenisedTexts, inference_batches, training_batches

pytestmark = pytest.mark.unit


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=200), st.integers(1, 32), st.integers(0, 9)
)
def test_training_batches_hold_every_row_once(lengths: list[int], size: int, seed: int) -> None:
    batches = training_batches(np.array(lengths), size, np.random.default_rng(seed))
    rows = np.concatenate(batches)
    assert sorted(rows.tolist()) == list(range(len(lengths)))
    assert max(len(batch) for batch in batches) <= size


def test_training_batches_waste_little_and_are_not_in_order_of_length() -> None:
    lengths = np.random.default_rng(0).integers(4, 60, size=2_000)
    batches = training_batches(lengths, 32, np.random.default_rng(1))
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    assert padded / lengths.sum() < 1.05
    means = [lengths[batch].mean() for batch in batches]
    assert means != sorted(means)


def test_another_seed_makes_other_batches() -> None:
    lengths = np.full(100, 7)
    first = training_batches(lengths, 10, np.random.default_rng(1))
    second = training_batches(lengths, 10, np.random.default_rng(2))
    assert any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 90), max_size=120), st.integers(1, 256))
def test_inference_batches_keep_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(inference_batches(np.array(lengths, dtype=np.int64), budget))
    rows = [row for batch in batches for row in batch.tolist()]
    assert sorted(rows) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


def test_a_batch_is_padded_right_and_masked() -> None:
    texts = TokenisedTexts.of([[5, 6, 7], [8]], pad_id=9)
    ids, mask = texts.batch(np.array([1, 0]))
    assert ids.tolist() == [[8, 9, 9], [5, 6, 7]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]


def test_lengths_and_ids_must_agree() -> None:
    with pytest.raises(ValueError, match="starts must end"):
        TokenisedTexts(np.array([1, 2], dtype=np.int32), np.array([0, 3]), 0)
