"""Eight bits find what floats find, compared by value, whatever the coordinates' sizes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models import eight_bit_index as module
from models.approximate_index import HnswSnapshot, IvfIndex
from models.eight_bit_index import EightBitIndex, greatest_rows
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


def test_blocks_and_searches_side_by_side_find_what_one_search_in_one_block_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = np.ones(COUNT, bool)
    queries = in_neighbourhoods(200, seed=3)
    whole = EightBitIndex(STORED)
    alone = [whole.nearest(query, 20, everything).tolist() for query in queries]
    monkeypatch.setattr(module, "BLOCK", 900)
    cut = EightBitIndex(STORED)
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda query: cut.nearest(query, 20, everything).tolist(), queries)
    assert list(found) == alone


@pytest.mark.parametrize("count", [1, 7, 500, 9_999, 10_000])
@pytest.mark.parametrize("share", [1.0, 0.3, 0.001])
@pytest.mark.parametrize("order", ["drawn", "rising", "alike"])
def test_the_greatest_products_are_the_greatest(count: int, share: float, order: str) -> None:
    draw = np.random.default_rng(5)
    products = draw.integers(-(10**9), 10**9, 10_000).astype(np.int32)
    if order == "rising":
        products.sort()
    elif order == "alike":
        products[:] = np.iinfo(np.int32).min
    allowed = draw.random(10_000) < share
    rows = greatest_rows(products, count, allowed)
    best = np.sort(products[allowed])[::-1][:count]
    assert products[rows].tolist() == best.tolist()
    assert allowed[rows].all()
    assert len(set(rows.tolist())) == len(rows)


def test_products_of_extremes_are_whole_where_sixteen_bits_add_two_of_them() -> None:
    stored = np.array([[1.0] * 64, [-1.0] * 64, [0.0] * 63 + [1.0]], np.float32)
    index = EightBitIndex(stored)
    ((products,),) = index._products([np.full(64, module.ZERO + module.QUERY_LEVELS, np.uint8)])
    assert products.tolist() == [64 * 63 * 127, -64 * 63 * 127, 63 * 127]
    assert 2 * (module.ZERO + module.QUERY_LEVELS) * module.LEVELS < 2**15
