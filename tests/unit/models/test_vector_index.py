"""The indexes on FAISS keep the laws of all, and what each refuses."""

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
from tests.fakes import vector_index_laws as laws
from tests.fakes.vector_index_laws import in_neighbourhoods, names, unit_vectors

pytestmark = pytest.mark.unit

KINDS: list[type[AnyIndex]] = [FlatIndex, IvfIndex, HnswSnapshot]
every_kind = pytest.mark.parametrize("kind", KINDS)
approximate_kinds = pytest.mark.parametrize("kind", [IvfIndex, HnswSnapshot])


@every_kind
def test_hits_equal_an_exhaustive_search_by_value(kind: type[AnyIndex]) -> None:
    laws.hits_equal_an_exhaustive_search_by_value(kind)


@every_kind
@pytest.mark.parametrize("lengths", ["equal", "different"])
def test_the_nearest_of_real_neighbourhoods_are_found_by_value(
    kind: type[AnyIndex], lengths: str
) -> None:
    laws.the_nearest_of_real_neighbourhoods_are_found_by_value(
        kind, lengths, exactly=kind is FlatIndex
    )


@every_kind
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(0, 90), k=st.integers(1, 120), seed=st.integers(0, 9))
def test_there_are_never_fewer_hits_than_there_can_be(
    kind: type[AnyIndex], rows: int, k: int, seed: int
) -> None:
    laws.there_are_never_fewer_hits_than_there_can_be(kind, rows, k, seed)


@every_kind
def test_a_small_index_gives_all_it_has_and_an_empty_one_gives_nothing(
    kind: type[AnyIndex],
) -> None:
    laws.a_small_index_gives_all_it_has_and_an_empty_one_gives_nothing(kind)


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
@laws.REFUSED
def test_what_does_not_fit_together_is_refused(
    kind: type[AnyIndex], ids: list[str], vectors: np.ndarray, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        kind(ids, vectors)


@every_kind
def test_queries_of_another_length_are_refused(kind: type[AnyIndex]) -> None:
    laws.queries_of_another_length_are_refused(kind)


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
