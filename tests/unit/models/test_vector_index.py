"""The laws that every vector index keeps, exact or not, and what each refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.approximate_index import (
    EXACT_UP_TO,
    GRAPH_UP_TO,
    AnyIndex,
    HnswSnapshot,
    IvfIndex,
    choose_index,
    load_index,
)
from models.vector_index import FlatIndex, VectorIndex
from shared.errors import UnreadableFile

pytestmark = pytest.mark.unit

KINDS: list[type[AnyIndex]] = [FlatIndex, IvfIndex, HnswSnapshot]
every_kind = pytest.mark.parametrize("kind", KINDS)
approximate_kinds = pytest.mark.parametrize("kind", [IvfIndex, HnswSnapshot])


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


@every_kind
def test_hits_equal_an_exhaustive_search_by_value(kind: type[AnyIndex]) -> None:
    stored, queries = unit_vectors(200), unit_vectors(7, seed=1)
    index: VectorIndex = kind(names(200), stored)
    if not isinstance(index, FlatIndex):
        index = index.looking_at(200)
    exact = queries @ stored.T
    for row, hits in enumerate(index.search(queries, 5)):
        best = np.argsort(-exact[row])[:5]
        assert [hit.id for hit in hits] == [f"item-{one}" for one in best]
        assert [hit.similarity for hit in hits] == pytest.approx(exact[row][best], abs=1e-5)


@every_kind
@pytest.mark.parametrize("lengths", ["equal", "different"])
def test_the_nearest_of_real_neighbourhoods_are_found_by_value(
    kind: type[AnyIndex], lengths: str
) -> None:
    """An approximate search may miss neighbours; what it finds has its true inner product."""
    stored, queries = in_neighbourhoods(3000), in_neighbourhoods(100, seed=1)
    if lengths == "different":
        stored *= np.random.default_rng(2).uniform(0.2, 3, size=(3000, 1)).astype(np.float32)
    exact = queries @ stored.T
    best = np.sort(exact, axis=1)[:, ::-1][:, :10]
    found = kind(names(3000), stored).search(queries, 10)
    reached = 0
    for row, hits in enumerate(found):
        rows = [int(hit.id.removeprefix("item-")) for hit in hits]
        similarities = [hit.similarity for hit in hits]
        assert len(set(rows)) == 10
        assert similarities == pytest.approx(exact[row][rows], abs=1e-4)
        assert similarities == sorted(similarities, reverse=True)
        reached += int(np.sum(np.array(similarities) >= best[row, -1] - 1e-5))
    assert reached >= (1000 if kind is FlatIndex else 970)


@every_kind
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(0, 90), k=st.integers(1, 120), seed=st.integers(0, 9))
def test_there_are_never_fewer_hits_than_there_can_be(
    kind: type[AnyIndex], rows: int, k: int, seed: int
) -> None:
    index: AnyIndex = kind(names(rows), unit_vectors(rows, 4, seed))
    if not isinstance(index, FlatIndex):
        index = index.looking_at(1)
    for hits in index.search(unit_vectors(3, 4, seed=77), k):
        assert len({hit.id for hit in hits}) == len(hits) == min(k, rows)


@every_kind
def test_a_small_index_gives_all_it_has_and_an_empty_one_gives_nothing(
    kind: type[AnyIndex],
) -> None:
    assert [hit.id for hit in kind(["a", "b"], np.eye(2, 4)).search(np.eye(1, 4), 9)[0]] == [
        "a",
        "b",
    ]
    assert kind([], np.zeros((0, 4))).search(np.eye(2, 4), 3) == [[], []]
    assert kind(["a"], np.eye(1, 4)).search(np.zeros((0, 4)), 3) == []
    assert len(kind(["a"], np.zeros((1, 4)))) == 1


@every_kind
@pytest.mark.parametrize("rows", [0, 3, 300])
def test_saving_and_loading_changes_nothing(
    kind: type[AnyIndex], rows: int, tmp_path: Path
) -> None:
    stored = unit_vectors(rows) * np.linspace(1, 2, rows, dtype=np.float32)[:, None]
    index: AnyIndex = kind([f"ä-{row}" for row in range(rows)], stored)
    if not isinstance(index, FlatIndex):
        index = index.looking_at(3)
    index.save(tmp_path / "index.safetensors")
    queries = unit_vectors(4, seed=2)
    for load in (kind.load, load_index):
        again = load(tmp_path / "index.safetensors")
        assert type(again) is kind
        assert again.ids == index.ids
        assert again.dimensions == 16
        assert again.search(queries, 3) == index.search(queries, 3)
        assert getattr(again, "looks", None) == getattr(index, "looks", None)


@every_kind
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
    kind: type[AnyIndex], ids: list[str], vectors: np.ndarray, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        kind(ids, vectors)


@every_kind
def test_queries_of_another_length_are_refused(kind: type[AnyIndex]) -> None:
    index = kind(["a"], np.eye(1, 4))
    with pytest.raises(ValueError, match=r"\[n, 4\]"):
        index.search(np.eye(1, 5), 1)
    with pytest.raises(ValueError, match="at least 1"):
        index.search(np.eye(1, 4), 0)


@every_kind
def test_a_file_that_is_no_index_is_named(kind: type[AnyIndex], tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not an index at all")
    for load in (kind.load, load_index):
        with pytest.raises(UnreadableFile, match=r"broken\.safetensors"):
            load(path)
        with pytest.raises(UnreadableFile, match="missing"):
            load(tmp_path / "missing")


@approximate_kinds
def test_bytes_that_changed_are_refused_before_they_are_read(
    kind: type[HnswSnapshot] | type[IvfIndex], tmp_path: Path
) -> None:
    path = tmp_path / "index.safetensors"
    kind(names(50), unit_vectors(50)).save(path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="changed since"):
        kind.load(path)


def test_an_index_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.safetensors"
    IvfIndex(names(50), unit_vectors(50)).save(path)
    with pytest.raises(UnreadableFile, match="'ivf', not 'hnsw'"):
        HnswSnapshot.load(path)
    with pytest.raises(UnreadableFile, match=r"index\.safetensors"):
        FlatIndex.load(path)
    FlatIndex(["a"], np.eye(1, 4)).save(path)
    with pytest.raises(UnreadableFile, match=r"index\.safetensors"):
        IvfIndex.load(path)


@approximate_kinds
def test_looking_further_finds_more_and_leaves_the_first_as_it_was(
    kind: type[HnswSnapshot] | type[IvfIndex],
) -> None:
    stored, queries = unit_vectors(3000, 32), unit_vectors(60, 32, seed=1)
    options: dict[str, Any] = {"looks": 1}
    near = kind(names(3000), stored, **options)
    far = near.looking_at(64)
    exact = [{hit.id for hit in hits} for hits in FlatIndex(names(3000), stored).search(queries, 5)]

    def recall(index: VectorIndex) -> int:
        found = index.search(queries, 5)
        return sum(len(a & {hit.id for hit in b}) for a, b in zip(exact, found, strict=True))

    assert recall(far) > recall(near) + 20
    assert (near.looks, far.looks) == (1, 64)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        near.looking_at(0)


def test_lists_are_the_same_for_the_same_seed() -> None:
    stored, queries = in_neighbourhoods(800), in_neighbourhoods(20, seed=1)
    first, again = (IvfIndex(names(800), stored, seed=4, looks=2) for _ in range(2))
    assert first.search(queries, 10) == again.search(queries, 10)


@pytest.mark.parametrize(
    ("count", "kind"),
    [
        (0, FlatIndex),
        (EXACT_UP_TO, FlatIndex),
        (EXACT_UP_TO + 1, HnswSnapshot),
        (GRAPH_UP_TO + 1, IvfIndex),
    ],
)
def test_the_index_is_chosen_by_how_many_vectors_there_are(
    count: int, kind: type[AnyIndex]
) -> None:
    assert choose_index(count) is kind
