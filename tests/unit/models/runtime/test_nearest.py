"""Nearest vectors found in 8 bits are those that a product with all of them finds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.neighbours import nearest_neighbours
from models.runtime import nearest
from models.runtime.nearest import FEW, MOST_DIFFERENCE, MOST_OF_VOTERS, NearestVectors

pytestmark = pytest.mark.unit

DIMENSIONS = 48


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows of length one."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clusters(rows: int, spread: float, seed: int = 0) -> NDArray[np.float32]:
    """Vectors about twenty centres, as a classifier's are."""
    random = np.random.default_rng(seed)
    centres = unit(np.random.default_rng(9).standard_normal((20, DIMENSIONS)))
    noise = spread * random.standard_normal((rows, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    return unit(centres[random.integers(0, 20, rows)] + noise)


@pytest.mark.parametrize("spread", [0.02, 0.3, 3.0])
def test_similarities_are_exact_alone_and_together(spread: float) -> None:
    bank = clusters(4 * FEW, spread)
    found = NearestVectors(bank)
    assert found.compressed
    queries = np.concatenate([clusters(60, spread, 1), clusters(60, 3.0, 2)])
    exact = nearest_neighbours(queries, bank)
    together = found.find(queries)
    assert together.similarity.shape == together.rows.shape == exact.rows.shape
    assert np.abs(together.familiarity - exact.familiarity).max() < MOST_DIFFERENCE
    assert np.abs(together.similarity - exact.similarity).max() < MOST_OF_VOTERS
    measured = np.einsum("nkd,nd->nk", bank[together.rows], queries)
    assert np.allclose(measured, together.similarity, atol=1e-5)
    for row in range(20):
        alone = found.find(queries[row : row + 1])
        assert np.allclose(alone.similarity[0], together.similarity[row], atol=1e-6)


def test_a_small_bank_is_compared_exactly() -> None:
    bank = clusters(FEW, 0.3)
    found = NearestVectors(bank)
    assert not found.compressed
    queries = clusters(7, 0.3, 1)
    assert np.array_equal(found.find(queries).rows, nearest_neighbours(queries, bank).rows)
    assert found.find(queries[:0]).familiarity.shape == (0,)


def test_an_index_that_misses_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Missing:
        """Names the same rows for each query."""

        def run(self, outputs: None, inputs: dict[str, NDArray[np.float32]]) -> list[object]:
            rows = np.arange(nearest.CANDIDATES)[None]
            return [np.repeat(rows, len(inputs["queries"]), axis=0)]

    monkeypatch.setattr(nearest, "_session", lambda vectors: Missing())
    bank = clusters(2 * FEW, 0.3)
    found = NearestVectors(bank)
    assert not found.compressed
    assert "all are compared exactly" in caplog.text
    queries = clusters(7, 0.3, 1)
    assert np.array_equal(found.find(queries).rows, nearest_neighbours(queries, bank).rows)
