"""Nearest vectors by inner product: one Protocol, and the exact index on FAISS behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.errors import UnreadableFile

Vectors = NDArray[np.float32]
Allowed = NDArray[np.bool_] | None
"""Whether each row may be found, bool [n]; None where all may."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An item found, and its inner product with the query (the cosine, for unit vectors)."""

    id: str
    similarity: float


class VectorIndex(Protocol):
    """Finds the stored vectors that lie nearest to a query."""

    @property
    def dimensions(self) -> int:
        """The length of each vector."""
        ...

    def __len__(self) -> int: ...

    def search(self, queries: Vectors, k: int) -> list[list[Hit]]:
        """At most ``k`` hits a query (float32 [n, dimensions]), the nearest first."""
        ...


class FilteredIndex(Protocol):
    """Finds rows that lie nearest to a query among those that are allowed."""

    def nearest(self, query: Vectors, count: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """At most ``count`` rows int64 for a query float32 [d], nearest first; ``allowed`` is
        bool [n]. Fewer where fewer are allowed, or where the search met no more of them."""
        ...


class FlatIndex:
    """Exact search over all vectors. The ids and the vectors are one thing: made, saved and
    loaded together, refused when their lengths differ, and never changed once made.

    Safe for concurrent searches.
    """

    def __init__(self, ids: Sequence[str], vectors: Vectors) -> None:
        import faiss

        matrix = checked_vectors(ids, vectors)
        self.ids = tuple(ids)
        self.vectors = matrix
        self._faiss: Any = faiss.IndexFlatIP(matrix.shape[1])
        self._faiss.add(matrix)

    @property
    def dimensions(self) -> int:
        """The length of each vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    def search(self, queries: Vectors, k: int) -> list[list[Hit]]:
        """At most ``k`` hits a query (float32 [n, dimensions]), the nearest first.

        Fewer than ``k`` stand in the index: then all of them, never an empty place.
        """
        wanted = checked_queries(queries, self.dimensions, k)
        if not len(self) or not len(wanted):
            return [[] for _ in wanted]
        similarities, rows = self._faiss.search(wanted, min(k, len(self)))
        return hits_of(self.ids, rows, similarities)

    def nearest(self, query: Vectors, count: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """At most ``count`` allowed rows, the nearest first."""
        return nearest_rows(self._faiss, query, count, among(allowed))

    def save(self, path: Path) -> None:
        """Write one safetensors file that holds the vectors and their ids."""
        from safetensors.numpy import save_file

        save_file({"vectors": self.vectors}, path, metadata={"ids": json.dumps(self.ids)})

    @classmethod
    def load(cls, path: Path) -> FlatIndex:
        """Read what ``save`` wrote. Raises UnreadableFile for anything else."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as stored:
                vectors = stored.get_tensor("vectors")
                ids = json.loads(stored.metadata()["ids"])
            return cls(ids, vectors)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UnreadableFile(
                f"{path} is not an index that Triptych saved: {error}", path=str(path)
            ) from error


def checked_vectors(ids: Sequence[str], vectors: Vectors) -> Vectors:
    """The vectors as one contiguous matrix float32 [n, dimensions].

    ValueError where they are no matrix, not finite, or do not fit their ids one to one.
    """
    matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(f"vectors must be a matrix [n, dimensions], not {matrix.shape}")
    if len(ids) != len(matrix):
        raise ValueError(f"{len(ids)} ids for {len(matrix)} vectors")
    if len(set(ids)) != len(ids):
        raise ValueError("ids must be unique")
    if not np.isfinite(matrix).all():
        raise ValueError("vectors must be finite")
    return matrix


def checked_queries(queries: Vectors, dimensions: int, k: int) -> Vectors:
    """The queries as float32 [n, dimensions]; ValueError for another length, or ``k`` below 1."""
    wanted = np.ascontiguousarray(queries, dtype=np.float32)
    if wanted.ndim != 2 or wanted.shape[1] != dimensions:
        raise ValueError(f"queries must be [n, {dimensions}], not {wanted.shape}")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return wanted


def hits_of(ids: Sequence[str], rows: NDArray[np.int64], similarities: Vectors) -> list[list[Hit]]:
    """What FAISS found, both [n, k], as hits; a row of -1 is an empty place and left out."""
    return [
        [
            Hit(ids[row], similarity)
            for row, similarity in zip(found, scores, strict=True)
            if row >= 0
        ]
        for found, scores in zip(rows.tolist(), similarities.tolist(), strict=True)
    ]


def among(allowed: Allowed, kind: str = "SearchParameters", **looks: int) -> Any:
    """What tells FAISS to look at the allowed rows alone, and how far."""
    import faiss

    own: Any = faiss  # its stubs know another way to make a selector
    if allowed is None or allowed.all():
        return getattr(own, kind)(**looks)
    selector = own.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
    return getattr(own, kind)(sel=selector, **looks)


def nearest_rows(index: Any, query: Vectors, count: int, parameters: Any) -> NDArray[np.int64]:
    """The rows int64 that a FAISS index finds for one query float32 [d], no empty places."""
    if not index.ntotal:
        return np.zeros(0, np.int64)
    asked = np.ascontiguousarray(query[None], np.float32)
    rows: NDArray[np.int64] = index.search(asked, min(count, index.ntotal), params=parameters)[1][0]
    return rows[rows >= 0]
