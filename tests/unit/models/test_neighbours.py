"""The nearest training examples, how near they are and what they vote for."""

from __future__ import annotations

import numpy as np
import pytest

from models.neighbours import (
    BLOCK,
    FAMILIAR,
    REACH,
    VOTERS,
    Neighbours,
    class_rows,
    nearest_neighbours,
)
from shared.evaluation.open_set import neighbour_similarity

pytestmark = pytest.mark.unit


def unit_vectors(rows: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((rows, 24)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("size", [1, 3, VOTERS, 400])
def test_the_nearest_are_found_nearest_first(size: int) -> None:
    bank, queries = unit_vectors(size, 0), unit_vectors(BLOCK + 5, 1)
    found = nearest_neighbours(queries, bank)
    similarity = queries @ bank.T
    expected = -np.sort(-similarity, axis=1)[:, :VOTERS]
    np.testing.assert_allclose(found.similarity, expected, atol=1e-6)
    np.testing.assert_allclose(
        np.take_along_axis(similarity, found.rows, axis=1), found.similarity, atol=1e-6
    )
    np.testing.assert_allclose(
        found.familiarity, neighbour_similarity(queries, bank, FAMILIAR), atol=1e-6
    )


def test_votes_are_shares_and_nearer_ones_weigh_more() -> None:
    near = Neighbours(
        np.array([[0.9, 0.9 - REACH, 0.9 - REACH]], np.float32), np.array([[4, 0, 2]])
    )
    votes = near.votes(np.array([1, 1, 1, 0, 2]), 3)
    weight = np.exp(-1)
    expected = np.array([[0.0, 2 * weight, 1.0]]) / (1 + 2 * weight)
    np.testing.assert_allclose(votes, expected, rtol=1e-5)


def test_distance_as_a_whole_does_not_matter() -> None:
    bank = unit_vectors(50, 0)
    truth = np.arange(50) % 4
    near = nearest_neighbours(unit_vectors(9, 2), bank)
    far = Neighbours(near.similarity - np.float32(0.4), near.rows)
    np.testing.assert_allclose(near.votes(truth, 4), far.votes(truth, 4), rtol=1e-4)


def test_an_empty_bank_is_refused_and_no_query_is_fine() -> None:
    with pytest.raises(ValueError, match="at least one"):
        nearest_neighbours(unit_vectors(2, 0), np.zeros((0, 24), np.float32))
    assert nearest_neighbours(np.zeros((0, 24), np.float32), unit_vectors(3, 0)).votes(
        np.zeros(3, np.int64), 2
    ).shape == (0, 2)


def test_classes_of_a_bank() -> None:
    rows = class_rows(("a", "b"), [("one", "b"), ("two", "a"), ("three", "b")])
    assert rows.tolist() == [1, 0, 1]
