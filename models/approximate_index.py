"""Nearest vectors without looking at all of them: inverted lists and a graph, both on FAISS.

For catalogues beyond what exact search does in time. A search looks at a part of the vectors, so
that it may miss a neighbour; ``looks`` trades speed for fewer misses. How many are missed on real
embeddings is measured by ``benchmarks/vector_search.py``.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.vector_index import (
    Allowed,
    FlatIndex,
    Hit,
    Vectors,
    among,
    checked_queries,
    checked_vectors,
    hits_of,
    nearest_rows,
)
from shared.errors import UnreadableFile

EXACT_UP_TO = 200_000
GRAPH_UP_TO = 2_000_000
"""Beyond this a graph takes too long to build every night, and its links too much memory."""

FEW_PASS = 8
"""Where fewer than one in so many rows is allowed, all of them are looked at."""


class _ApproximateIndex:
    """What both share. Never changed once made; safe for concurrent searches.

    Vectors of different lengths get one more coordinate that makes them all equally long, and
    queries a zero there: inner products stay as they are, and neighbourhoods become those of
    distances, which both structures rely on. Source: Bachrach et al., "Speeding Up the Xbox
    Recommender System Using a Euclidean Transformation for Inner-Product Spaces", RecSys 2014.
    """

    kind: ClassVar[str]

    def __init__(self, ids: Sequence[str], dimensions: int, index: Any, looks: int) -> None:
        self.ids = tuple(ids)
        self.dimensions = dimensions
        self.looks = _checked_looks(looks)
        self._faiss = index

    def __len__(self) -> int:
        return len(self.ids)

    def looking_at(self, looks: int) -> Self:
        """The same index (shared, not copied) with searches that look that far."""
        other = copy.copy(self)
        other.looks = _checked_looks(looks)
        return other

    def search(self, queries: Vectors, k: int) -> list[list[Hit]]:
        """At most ``k`` hits a query (float32 [n, dimensions]), the nearest first.

        As many as an exact search gives: a query for which too few were found is searched again
        in all vectors.
        """
        wanted = checked_queries(queries, self.dimensions, k)
        if not len(self) or not len(wanted):
            return [[] for _ in wanted]
        more = self._faiss.d - self.dimensions
        wanted = np.ascontiguousarray(np.pad(wanted, ((0, 0), (0, more))))
        count = min(k, len(self))
        similarities, rows = self._faiss.search(wanted, count, params=self._parameters(count))
        short = (rows < 0).any(axis=1)
        if short.any():
            similarities[short], rows[short] = self._exact(wanted[short], count)
        return hits_of(self.ids, rows, similarities)

    def nearest(self, query: Vectors, count: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """At most ``count`` allowed rows, the nearest first; exact where few are allowed."""
        few = int(np.count_nonzero(allowed)) * FEW_PASS < len(allowed)
        padded = np.pad(query, (0, self._faiss.d - self.dimensions))
        if few:
            return self._every(padded, count, allowed)
        return nearest_rows(self._faiss, padded, count, self._parameters(count, allowed))

    def save(self, path: Path) -> None:
        """Write one safetensors file that holds the index, its ids and how far it looks."""
        from safetensors.numpy import save_file

        stored = _faiss().serialize_index(self._faiss)
        metadata = {
            "kind": self.kind,
            "ids": json.dumps(self.ids),
            "dimensions": str(self.dimensions),
            "looks": str(self.looks),
            "sha256": hashlib.sha256(stored.data).hexdigest(),
        }
        save_file({"index": stored}, path, metadata=metadata)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote. Raises UnreadableFile for anything else.

        The bytes are compared with their sha256 before FAISS reads them: it trusts what it reads.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as stored:
                told = stored.metadata()
                if told["kind"] != cls.kind:
                    raise ValueError(f"it is of the kind {told['kind']!r}, not {cls.kind!r}")
                content = stored.get_tensor("index")
            if hashlib.sha256(content.data).hexdigest() != told["sha256"]:
                raise ValueError("its bytes changed since it was saved")
            index = _faiss().deserialize_index(content)
            ids = json.loads(told["ids"])
            if index.ntotal != len(ids):
                raise ValueError(f"{len(ids)} ids for {index.ntotal} vectors")
            dimensions, looks = int(told["dimensions"]), int(told["looks"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UnreadableFile(
                f"{path} is not an index that Triptych saved: {error}", path=str(path)
            ) from error
        loaded = cls.__new__(cls)
        _ApproximateIndex.__init__(loaded, ids, dimensions, index, looks)
        return loaded

    def _parameters(self, count: int, allowed: Allowed = None) -> Any:
        """What FAISS is told of one search for that many neighbours."""
        raise NotImplementedError

    def _every(self, query: Vectors, count: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The rows that ``nearest`` gives, all allowed ones looked at."""
        raise NotImplementedError

    def _exact(self, queries: Vectors, count: int) -> tuple[Vectors, Any]:
        """Similarities and rows of a search in all vectors."""
        raise NotImplementedError


class IvfIndex(_ApproximateIndex):
    """Vectors in lists around k-means centres; a search reads the ``looks`` nearest lists whole.

    ``lists`` is about 4 √n where it is left out, ``looks`` an eighth of the lists. Built in far
    less time than a graph, and holds no more than the vectors. Source: Sivic and Zisserman,
    "Video Google", ICCV 2003; FAISS ``IndexIVFFlat``.
    """

    kind = "ivf"

    def __init__(
        self,
        ids: Sequence[str],
        vectors: Vectors,
        *,
        lists: int | None = None,
        looks: int | None = None,
        seed: int = 0,
    ) -> None:
        faiss = _faiss()

        matrix = checked_vectors(ids, vectors)
        points = equally_long(matrix)
        n = len(points)
        count = lists or max(1, min(int(4 * math.sqrt(n)), n // 39))
        index = faiss.index_factory(points.shape[1], f"IVF{count},Flat", faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = seed
        index.cp.min_points_per_centroid = 1
        if n:
            index.train(points)
            index.add(points)
        super().__init__(ids, matrix.shape[1], index, looks or max(1, math.ceil(count / 8)))

    def _parameters(self, count: int, allowed: Allowed = None) -> Any:
        return among(allowed, "SearchParametersIVF", nprobe=min(self.looks, self._faiss.nlist))

    def _every(self, query: Vectors, count: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        every = among(allowed, "SearchParametersIVF", nprobe=self._faiss.nlist)
        return nearest_rows(self._faiss, query, count, every)

    def _exact(self, queries: Vectors, count: int) -> tuple[Vectors, Any]:
        faiss = _faiss()

        every = faiss.SearchParametersIVF(nprobe=self._faiss.nlist)
        found: tuple[Vectors, Any] = self._faiss.search(queries, count, params=every)
        return found


class HnswSnapshot(_ApproximateIndex):
    """A graph of near neighbours that a search walks along, keeping the ``looks`` best it met.

    A snapshot: items that come later are not in it. ``links`` is how many neighbours each vector
    has, ``effort`` how far its building looks for them. With several OpenMP threads two builds
    may differ in a few links. Source: Malkov and Yashunin, "Efficient and robust approximate
    nearest neighbor search using Hierarchical Navigable Small World graphs", 2018.
    """

    kind = "hnsw"

    def __init__(
        self,
        ids: Sequence[str],
        vectors: Vectors,
        *,
        links: int = 32,
        effort: int = 100,
        looks: int = 128,
    ) -> None:
        faiss = _faiss()

        matrix = checked_vectors(ids, vectors)
        points = equally_long(matrix)
        index = faiss.IndexHNSWFlat(points.shape[1], links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = effort
        index.add(points)
        super().__init__(ids, matrix.shape[1], index, looks)

    def _parameters(self, count: int, allowed: Allowed = None) -> Any:
        return among(allowed, "SearchParametersHNSW", efSearch=max(self.looks, count))

    def _every(self, query: Vectors, count: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        return nearest_rows(self._faiss.storage, query, count, among(allowed))

    def _exact(self, queries: Vectors, count: int) -> tuple[Vectors, Any]:
        found: tuple[Vectors, Any] = self._faiss.storage.search(queries, count)
        return found


AnyIndex = FlatIndex | HnswSnapshot | IvfIndex


def choose_index(count: int) -> type[FlatIndex] | type[HnswSnapshot] | type[IvfIndex]:
    """The index for that many vectors: exact as long as that is fast, then a graph, then lists.

    Each is made of ids and vectors alone: ``choose_index(len(ids))(ids, vectors)``.
    """
    if count <= EXACT_UP_TO:
        return FlatIndex
    return HnswSnapshot if count <= GRAPH_UP_TO else IvfIndex


def load_index(path: Path) -> AnyIndex:
    """Read a saved index of any kind. Raises UnreadableFile for anything else."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            kind = (stored.metadata() or {}).get("kind")
    except (OSError, SafetensorError) as error:
        raise UnreadableFile(
            f"{path} is not an index that Triptych saved: {error}", path=str(path)
        ) from error
    if kind == HnswSnapshot.kind:
        return HnswSnapshot.load(path)
    return IvfIndex.load(path) if kind == IvfIndex.kind else FlatIndex.load(path)


def _faiss() -> Any:
    """FAISS, loaded where it is needed; its stubs know a part of it."""
    import faiss

    return faiss


def _checked_looks(looks: int) -> int:
    if looks < 1:
        raise ValueError(f"looks must be at least 1, not {looks}")
    return looks


def equally_long(vectors: Vectors) -> Vectors:
    """The vectors with one more coordinate where their lengths differ, float32 [n, d or d + 1]."""
    squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
    greatest = float(squares.max(initial=0.0))
    if len(squares) == 0 or greatest - float(squares.min()) <= 1e-3 * greatest:
        return vectors
    lacking = np.sqrt(greatest - squares).astype(np.float32)
    return np.ascontiguousarray(np.column_stack([vectors, lacking]))
