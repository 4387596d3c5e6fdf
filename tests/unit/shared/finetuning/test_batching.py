"""Every text exactly once, hardly any padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.finetuning.batching import (
    TokenisedTexts,
    balanced_rows,
    inference_batches,
    training_batches,
)

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


def test_balanced_rows_draw_each_class_equally_often() -> None:
    truth = np.array([0] * 90 + [1] * 8 + [2] * 2)
    drawn = balanced_rows(truth, np.random.default_rng(1))
    assert len(drawn) == 100
    assert sorted(np.bincount(truth[drawn]).tolist()) == [33, 33, 34]
    times = np.bincount(drawn, minlength=100)
    assert set(times[:90].tolist()) == {0, 1}, "a part of the frequent class, nothing twice"
    assert set(times[90:98].tolist()) <= {4, 5}, "33 or 34 draws of 8 examples"
    assert set(times[98:].tolist()) <= {16, 17, 18}, "33 or 34 draws of 2 examples"


def test_balanced_rows_of_balanced_classes_are_all_rows() -> None:
    truth = np.arange(30) % 3
    drawn = balanced_rows(truth, np.random.default_rng(1))
    assert sorted(drawn.tolist()) == list(range(30))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=80), st.integers(0, 9))
def test_balanced_rows_for_any_classes(labels: list[int], seed: int) -> None:
    truth = np.array(labels)
    drawn = balanced_rows(truth, np.random.default_rng(seed))
    assert len(drawn) == len(truth)
    counts = np.bincount(truth[drawn], minlength=13)[np.unique(truth)]
    assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(drawn, balanced_rows(truth, np.random.default_rng(seed)))


def test_over_epochs_every_frequent_example_is_read() -> None:
    truth = np.array([0] * 95 + [1] * 5)
    seen = {
        row for epoch in range(12) for row in balanced_rows(truth, np.random.default_rng(epoch))
    }
    assert len(seen) == 100
