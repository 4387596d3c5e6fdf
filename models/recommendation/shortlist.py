"""The likeliest items of a catalogue too large to score whole, by one search in FAISS.

Factors of behaviour stand beside weighted vectors of texts and popularity, so that one inner
product is a score. What comes back is scored exactly by the caller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.approximate_index import choose_index
from models.vector_index import VectorIndex
from shared.histories import Rows, Weights

Floats = NDArray[np.float32]

FEW_PASS = 8
"""Where fewer than one in so many items is allowed all of them are looked at."""


class Shortlist:
    """Made of ``factors`` float32 [n, f] and ``texts`` float32 [n, d], of the same rows.

    ``popularity`` float32 [n] is that of each row. Never changes; safe between threads.
    """

    def __init__(self, factors: Floats, texts: Floats, popularity: Weights) -> None:
        joined = np.hstack([factors, texts, popularity[:, None]])
        self._vectors = np.ascontiguousarray(joined, np.float32)
        ids = [str(row) for row in range(len(self._vectors))]
        self._index: VectorIndex = choose_index(len(ids))(ids, self._vectors)
        self._popular_first = np.argsort(-popularity, kind="stable")

    def rows(
        self,
        factors: Weights,
        text: Weights,
        popular: float,
        *,
        allowed: NDArray[np.bool_],
        wanted: int,
    ) -> Rows:
        """Rows int64 among the allowed (bool [n]): at least ``wanted`` of them, or all there are.

        ``factors`` float32 [f] and ``text`` float32 [d] are the user's, ``popular`` how much
        popularity counts. The most popular are among them; where few are allowed, or the search
        found too few of those, all are looked at.
        """
        query = np.concatenate([factors, text, [popular]]).astype(np.float32)
        passing = int(allowed.sum())
        if passing <= wanted:
            return np.flatnonzero(allowed)
        found = np.zeros(0, np.int64)
        if passing * FEW_PASS >= len(allowed):
            asked = min(len(allowed), 2 * wanted * len(allowed) // passing)
            hits = self._index.search(query[None], asked)[0]
            found = np.fromiter((int(hit.id) for hit in hits), np.int64, len(hits))
            found = found[allowed[found]][:wanted]
        if len(found) < wanted:
            rows = np.flatnonzero(allowed)
            scores = self._vectors[rows] @ query
            found = rows[np.argpartition(-scores, wanted - 1)[:wanted]]
        first = self._popular_first[allowed[self._popular_first]][:wanted]
        return np.union1d(found, first)
