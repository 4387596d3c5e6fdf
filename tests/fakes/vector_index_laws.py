"""The laws that every vector index keeps, exact or not, wherever its vectors stand.

Each is called with ``make``, which makes an index of ids and vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from models.vector_index import VectorIndex

Make = Callable[[Sequence[str], Any], VectorIndex]

REFUSED = pytest.mark.parametrize(
    ("ids", "vectors", "says"),
    [
        (["a"], np.eye(2), "1 ids for 2 vectors"),
        (["a", "a"], np.eye(2), "unique"),
        (["a"], np.array([[np.nan, 1.0]]), "finite"),
        (["a"], np.zeros(3), "matrix"),
    ],
)


def unit_vectors(rows: int, dimensions: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def in_neighbourhoods(rows: int, seed: int = 0, *, dimensions: int = 32) -> np.ndarray:
    """Unit vectors around 40 centres, as embeddings of texts stand, not evenly spread."""
    draw = np.random.default_rng(seed)
    centres = unit_vectors(40, dimensions, seed=99)[draw.integers(0, 40, rows)]
    vectors = centres + 0.15 * draw.normal(size=(rows, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def names(rows: int) -> list[str]:
    return [f"item-{row}" for row in range(rows)]


def looking(index: VectorIndex, looks: int) -> VectorIndex:
    """The index with searches that look that far, where it can be told."""
    return index.looking_at(looks) if hasattr(index, "looking_at") else index


def hits_equal_an_exhaustive_search_by_value(make: Make) -> None:
    stored, queries = unit_vectors(200), unit_vectors(7, seed=1)
    index = looking(make(names(200), stored), 200)
    exact = queries @ stored.T
    for row, hits in enumerate(index.search(queries, 5)):
        best = np.argsort(-exact[row])[:5]
        assert [hit.id for hit in hits] == [f"item-{one}" for one in best]
        assert [hit.similarity for hit in hits] == pytest.approx(exact[row][best], abs=1e-5)


def the_nearest_of_real_neighbourhoods_are_found_by_value(
    make: Make, lengths: str, *, exactly: bool
) -> None:
    """An approximate search may miss neighbours; what it finds has its true inner product."""
    stored, queries = in_neighbourhoods(3000), in_neighbourhoods(100, seed=1)
    if lengths == "different":
        stored *= np.random.default_rng(2).uniform(0.2, 3, size=(3000, 1)).astype(np.float32)
    exact = queries @ stored.T
    best = np.sort(exact, axis=1)[:, ::-1][:, :10]
    found = make(names(3000), stored).search(queries, 10)
    reached = 0
    for row, hits in enumerate(found):
        rows = [int(hit.id.removeprefix("item-")) for hit in hits]
        similarities = [hit.similarity for hit in hits]
        assert len(set(rows)) == 10
        assert similarities == pytest.approx(exact[row][rows], abs=1e-4)
        assert similarities == sorted(similarities, reverse=True)
        reached += int(np.sum(np.array(similarities) >= best[row, -1] - 1e-5))
    assert reached >= (1000 if exactly else 970)


def there_are_never_fewer_hits_than_there_can_be(make: Make, rows: int, k: int, seed: int) -> None:
    index = looking(make(names(rows), unit_vectors(rows, 4, seed)), 1)
    for hits in index.search(unit_vectors(3, 4, seed=77), k):
        assert len({hit.id for hit in hits}) == len(hits) == min(k, rows)


def a_small_index_gives_all_it_has_and_an_empty_one_gives_nothing(make: Make) -> None:
    two = make(["a", "b"], np.eye(2, 4)).search(np.eye(1, 4), 9)[0]
    assert [hit.id for hit in two] == ["a", "b"]
    assert make([], np.zeros((0, 4))).search(np.eye(2, 4), 3) == [[], []]
    assert make(["a"], np.eye(1, 4)).search(np.zeros((0, 4)), 3) == []
    assert len(make(["a"], np.zeros((1, 4)))) == 1


def queries_of_another_length_are_refused(make: Make) -> None:
    index = make(["a"], np.eye(1, 4))
    assert index.dimensions == 4
    with pytest.raises(ValueError, match=r"\[n, 4\]"):
        index.search(np.eye(1, 5), 1)
    with pytest.raises(ValueError, match="at least 1"):
        index.search(np.eye(1, 4), 0)
