"""The laws of a vector index, and what the flat one refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.vector_index import FlatIndex, VectorIndex
from shared.errors import UnreadableFile

pytestmark = pytest.mark.unit


def unit_vectors(rows: int, dimensions: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def names(rows: int) -> list[str]:
    return [f"item-{row}" for row in range(rows)]


def test_hits_equal_an_exhaustive_search_by_value() -> None:
    stored, queries = unit_vectors(200), unit_vectors(7, seed=1)
    index: VectorIndex = FlatIndex(names(200), stored)
    exact = queries @ stored.T
    for row, hits in enumerate(index.search(queries, 5)):
        best = np.argsort(-exact[row])[:5]
        assert [hit.id for hit in hits] == [f"item-{one}" for one in best]
        assert [hit.similarity for hit in hits] == pytest.approx(exact[row][best], abs=1e-5)


def test_a_small_index_gives_all_it_has_and_an_empty_one_gives_nothing() -> None:
    assert [hit.id for hit in FlatIndex(["a", "b"], np.eye(2, 4)).search(np.eye(1, 4), 9)[0]] == [
        "a",
        "b",
    ]
    assert FlatIndex([], np.zeros((0, 4))).search(np.eye(2, 4), 3) == [[], []]
    assert FlatIndex(["a"], np.eye(1, 4)).search(np.zeros((0, 4)), 3) == []


def test_saving_and_loading_changes_nothing(tmp_path: Path) -> None:
    index = FlatIndex(["ä", "b", "c"], unit_vectors(3))
    index.save(tmp_path / "index.safetensors")
    again = FlatIndex.load(tmp_path / "index.safetensors")
    queries = unit_vectors(4, seed=2)
    assert again.ids == index.ids
    assert again.search(queries, 3) == index.search(queries, 3)


@pytest.mark.parametrize(
    ("ids", "vectors", "says"),
    [
        (["a"], np.eye(2), "1 ids for 2 vectors"),
        (["a", "a"], np.eye(2), "unique"),
        (["a"], np.array([[np.nan, 1.0]]), "finite"),
        (["a"], np.zeros(3), "matrix"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    ids: list[str], vectors: np.ndarray, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        FlatIndex(ids, vectors)


def test_queries_of_another_length_are_refused() -> None:
    index = FlatIndex(["a"], np.eye(1, 4))
    with pytest.raises(ValueError, match=r"\[n, 4\]"):
        index.search(np.eye(1, 5), 1)
    with pytest.raises(ValueError, match="at least 1"):
        index.search(np.eye(1, 4), 0)


def test_a_file_that_is_no_index_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not an index at all")
    with pytest.raises(UnreadableFile, match=r"broken\.safetensors"):
        FlatIndex.load(path)
    with pytest.raises(UnreadableFile, match="missing"):
        FlatIndex.load(tmp_path / "missing")
