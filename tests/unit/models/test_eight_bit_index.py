"""Eight bits find what floats find, compared by value, whatever the coordinates' sizes."""

from __future__ import annotations

import numpy as np
import pytest

from models.approximate_index import HnswSnapshot, IvfIndex
from models.eight_bit_index import EightBitIndex
from models.vector_index import FilteredIndex, FlatIndex
from tests.fakes.vector_index_laws import in_neighbourhoods, names, unit_vectors

pytestmark = pytest.mark.unit
COUNT = 4000
STORED = in_neighbourhoods(COUNT)
KINDS = {
    "eight bits": EightBitIndex,
    "flat": lambda stored: FlatIndex(names(len(stored)), stored),
    "ivf": lambda stored: IvfIndex(names(len(stored)), stored),
    "hnsw": lambda stored: HnswSnapshot(names(len(stored)), stored),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [1.0, 0.4, 0.02])
def test_the_best_of_those_allowed_are_among_the_rows_by_value(kind: str, share: float) -> None:
    index: FilteredIndex = KINDS[kind](STORED)
    allowed = np.random.default_rng(1).random(COUNT) < share
    for query in in_neighbourhoods(20, seed=2):
        rows = index.nearest(query, 50, allowed)
        assert allowed[rows].all()
        assert len(set(rows.tolist())) == len(rows) == min(50, int(allowed.sum()))
        scores = STORED @ query
        best = np.sort(scores[allowed])[::-1][:10]
        assert np.sort(scores[rows])[::-1][:10] == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_no_more_rows_than_are_allowed(kind: str) -> None:
    index: FilteredIndex = KINDS[kind](STORED)
    assert index.nearest(STORED[0], 50, np.zeros(COUNT, bool)).tolist() == []
    three = np.isin(np.arange(COUNT), [5, 17, 3999])
    assert sorted(index.nearest(STORED[0], 50, three).tolist()) == [5, 17, 3999]
    assert len(KINDS[kind](STORED[:7]).nearest(STORED[0], 50, np.ones(7, bool))) == 7


def test_small_coordinates_count_beside_large_ones() -> None:
    """Factors a thousand times the size of texts, and a query that makes up for it."""
    sizes = np.repeat([1000.0, 1.0], 16).astype(np.float32)
    stored = STORED * sizes
    index = EightBitIndex(stored)
    for query in unit_vectors(20, 32, seed=4):
        rows = index.nearest(query / sizes, 50, np.ones(COUNT, bool))
        best = np.argsort(-(STORED @ query))[:10]
        assert set(best.tolist()) <= set(rows.tolist())


def test_a_query_of_nothing_and_an_empty_index() -> None:
    rows = EightBitIndex(STORED).nearest(np.zeros(32, np.float32), 3, np.ones(COUNT, bool))
    assert len(set(rows.tolist())) == 3
    empty = EightBitIndex(np.zeros((0, 4), np.float32))
    assert len(empty) == 0
    assert empty.nearest(np.ones(4, np.float32), 3, np.zeros(0, bool)).tolist() == []
