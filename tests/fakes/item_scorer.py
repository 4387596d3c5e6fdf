"""A scorer of items that anyone can follow: what is near to the history, the newest most.

score = sum over the history of strength * DECAY ** (distance from its end) * cosine
        + POPULAR_WEIGHT * popularity

The cosine counts as ``behaviour`` between two fitted items and as ``text`` otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.recommendation.scoring import ItemScores
from shared.catalogue import CatalogueItem
from shared.histories import Rows, UserHistory, Weights
from tests.fakes.word_encoder import WordEncoder

DECAY = 0.8
POPULAR_WEIGHT = 0.1


@dataclass(frozen=True, eq=False)
class FakeItemScorer:
    """What ``ItemScorer`` asks for, over given unit vectors float32 [n, d].

    ``cut`` gives at most that many candidates beyond those that are wanted, as a scorer of a large
    catalogue does; None scores all that are allowed. ``asked`` keeps the lengths of the histories
    that were scored, ``now`` of each call in ``moments``; copies by ``with_items`` share them.
    """

    item_ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    popularity: Weights
    fitted: NDArray[np.bool_]
    version: str = "fake-1"
    cut: int | None = None
    asked: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)

    @classmethod
    def over(
        cls,
        vectors: NDArray[np.float32],
        *,
        item_ids: Sequence[str] | None = None,
        popularity: Sequence[float] | Weights | None = None,
        fitted: Sequence[bool] | NDArray[np.bool_] | None = None,
        version: str = "fake-1",
        cut: int | None = None,
    ) -> FakeItemScorer:
        """Over vectors of any length; items ``item-0`` on, all fitted, the first most popular."""
        n = len(vectors)
        return cls(
            tuple(f"item-{row}" for row in range(n)) if item_ids is None else tuple(item_ids),
            unit(vectors),
            (
                np.linspace(1, 0, n, endpoint=False, dtype=np.float32)
                if popularity is None
                else np.asarray(popularity, np.float32)
            ),
            np.ones(n, bool) if fitted is None else np.asarray(fitted, bool),
            version,
            cut,
        )

    @classmethod
    def of_items(
        cls, items: Sequence[CatalogueItem], *, version: str = "fake-1", dimensions: int = 64
    ) -> FakeItemScorer:
        """Over the words of the items' texts: items that share words lie near one another."""
        vectors = embed([item.whole for item in items], dimensions)
        return cls.over(vectors, item_ids=[item.id for item in items], version=version)

    @property
    def row_of(self) -> Mapping[str, int]:
        return MappingProxyType({item: row for row, item in enumerate(self.item_ids)})

    def score(
        self, history: UserHistory, *, allowed: NDArray[np.bool_], wanted: int, now: float
    ) -> ItemScores:
        self.asked.append(len(history))
        self.moments.append(now)
        rows = np.flatnonzero(allowed)
        parts = self._parts(history, rows)
        totals = sum_of(parts)
        if self.cut is not None and len(rows) > wanted + self.cut:
            best = np.argsort(-totals, kind="stable")[: wanted + self.cut]
            rows, totals = rows[best], totals[best]
            parts = {name: values[best] for name, values in parts.items()}
        return ItemScores(rows, totals, parts)

    def contributions(self, history: UserHistory, rows: Rows, *, now: float) -> Weights:
        distance = np.arange(len(history))[::-1]
        weights = history.strengths * np.float32(DECAY) ** distance.astype(np.float32)
        cosines = self.vectors[history.rows] @ self.vectors[rows].T
        return (weights[:, None] * cosines).astype(np.float32)

    def similar(self, row: int) -> Weights:
        return self.vectors @ self.vectors[row]

    def search(self, text: str) -> Weights:
        return self.vectors @ embed([text], self.vectors.shape[1])[0]

    def with_items(self, items: Sequence[CatalogueItem]) -> FakeItemScorer:
        item_ids, row_of = list(self.item_ids), dict(self.row_of)
        for item in items:
            if item.id not in row_of:
                row_of[item.id] = len(item_ids)
                item_ids.append(item.id)
        more = len(item_ids) - len(self.item_ids)
        vectors = np.pad(self.vectors, ((0, more), (0, 0)))
        if items:
            rows = [row_of[item.id] for item in items]
            vectors[rows] = embed([item.whole for item in items], vectors.shape[1])
        return replace(
            self,
            item_ids=tuple(item_ids),
            vectors=vectors,
            popularity=np.pad(self.popularity, (0, more)),
            fitted=np.pad(self.fitted, (0, more)),
        )

    def _parts(self, history: UserHistory, rows: Rows) -> dict[str, Weights]:
        given = self.contributions(history, rows, now=0.0)
        both = self.fitted[history.rows][:, None] & self.fitted[rows]
        return {
            "behaviour": np.where(both, given, 0).sum(axis=0, dtype=np.float32),
            "text": np.where(both, 0, given).sum(axis=0, dtype=np.float32),
            "popular": (POPULAR_WEIGHT * self.popularity[rows]).astype(np.float32),
        }


def sum_of(parts: Mapping[str, Weights]) -> Weights:
    """The totals that the parts add up to."""
    return (parts["behaviour"] + parts["text"] + parts["popular"]).astype(np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors, each divided by its length; those of length 0 stay."""
    matrix = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return (matrix / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def embed(texts: Sequence[str], dimensions: int) -> NDArray[np.float32]:
    """Unit vectors of the texts' words, float32 [n, dimensions]."""
    encoder = WordEncoder()
    encoder.dimensions = dimensions
    return unit(encoder.embed(texts))
