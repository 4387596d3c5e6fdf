"""Duplicates, exact and near: which ones harm, and where they stand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evaluation.duplicates import exact_duplicates, near_duplicates, similar_pairs

pytestmark = pytest.mark.unit


def unit(rows: list[list[float]]) -> np.ndarray:
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_exact_duplicates_by_what_they_harm() -> None:
    texts = ["Where is it", "where  is it", "refund", "Refund", "bye", "bye", "bye", "alone"]
    labels = ["track", "refund", "refund", "refund", "bye", "bye", "bye", "alone"]
    splits = ["train", "train", "train", "test", "train", "train", "train", "test"]
    found = {finding.kind: finding for finding in exact_duplicates(texts, labels, splits)}
    assert found["conflicting_duplicate"].rows == (0, 1)
    assert found["conflicting_duplicate"].severity == "warning"
    assert "refund and track" in found["conflicting_duplicate"].message
    assert found["duplicate_across_splits"].rows == (2, 3)
    assert "train and test" in found["duplicate_across_splits"].message
    assert found["duplicate"].rows == (5, 6)
    assert found["duplicate"].severity == "info"


def test_no_duplicates_no_findings() -> None:
    assert exact_duplicates(["a", "b"], ["x", "x"], [None, None]) == []


def test_near_duplicates_by_what_they_harm() -> None:
    texts = ["cancel it", "cancel it!", "cancel it now", "where", "where?", "else"]
    labels = ["cancel", "cancel", "cancel", "track", "parcel", "else"]
    splits = ["train", "test", "train", "train", "train", "test"]
    vectors = unit([[1, 0, 0], [1, 0.01, 0], [1, 0, 0.01], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]])
    findings = near_duplicates(texts, labels, splits, vectors)
    assert [(finding.kind, finding.rows) for finding in findings] == [
        ("conflicting_near_duplicate", (3, 4)),
        ("near_duplicate", (0, 1)),
        ("near_repetition", (2,)),
    ]
    assert findings[1].details["similarity"] > 0.99


def test_exact_duplicates_are_not_told_again() -> None:
    vectors = unit([[1, 0], [1, 0]])
    assert near_duplicates(["Hello", "hello "], ["a", "b"], [None, None], vectors) == []


@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0.2, 0.95), st.integers(1, 50))
def test_blocks_find_what_all_pairs_at_once_find(
    seed: int, size: int, threshold: float, block: int
) -> None:
    vectors = unit(np.random.default_rng(seed).normal(size=(size, 3)).tolist())
    exact = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    expected = {
        (i, j): exact[i, j]
        for i in range(size)
        for j in range(i)
        if exact[i, j] >= threshold + 1e-6
    }
    found = {(j, i): value for value, i, j in similar_pairs(vectors, threshold, block=block)}
    assert set(expected) <= set(found)
    assert all(exact[pair] >= threshold - 1e-6 for pair in found)
    assert all(value == pytest.approx(exact[pair], abs=1e-5) for pair, value in found.items())
    values = [value for value, _, _ in similar_pairs(vectors, threshold, block=block)]
    assert values == sorted(values, reverse=True)


def test_data_of_one_text_many_times_over_ends() -> None:
    assert len(similar_pairs(np.ones((1_000, 1), dtype=np.float32), 0.9)) == 200_000
