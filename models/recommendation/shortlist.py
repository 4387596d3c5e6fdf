"""The likeliest items of a catalogue too large to score whole, by one search.

Factors of behaviour stand beside weighted vectors of texts and popularity, so that one inner
product is a score. What comes back is scored exactly by the caller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.approximate_index import choose_index
from models.eight_bit_index import EightBitIndex
from models.vector_index import FilteredIndex
from shared.histories import Rows, Weights

Floats = NDArray[np.float32]

SCANNED_UP_TO = 500_000
"""Up to so many items all are looked at, at eight bits; beyond, a part of them (HNSW, IVF)."""

SPARE = 400
"""So many more than wanted are taken: eight bits confuse near equals, and what variety leaves out
has others in its place."""


class Shortlist:
    """Made of ``factors`` float32 [n, f] and ``texts`` float32 [n, d], of the same rows.

    ``popularity`` float32 [n] is that of each row. Never changes; safe between threads.
    """

    def __init__(self, factors: Floats, texts: Floats, popularity: Weights) -> None:
        joined = np.hstack([factors, texts, popularity[:, None]]).astype(np.float32, copy=False)
        count = len(joined)
        self._index: FilteredIndex = (
            EightBitIndex(joined)
            if count <= SCANNED_UP_TO
            else choose_index(count)([str(row) for row in range(count)], joined)
        )
        order = np.argsort(-popularity, kind="stable")
        self._popular: Rows = order[: np.count_nonzero(popularity)]

    def rows(
        self,
        factors: Weights,
        text: Weights,
        popular: float,
        *,
        allowed: NDArray[np.bool_],
        wanted: int,
    ) -> Rows:
        """Rows int64 among the allowed (bool [n]): more than ``wanted`` of them, or all there are.

        ``factors`` float32 [f] and ``text`` float32 [d] are the user's, ``popular`` how much
        popularity counts. The ``wanted`` most popular are among them: neither eight bits nor
        neighbourhoods tell these well from others that nobody takes.
        """
        asked = wanted + SPARE
        if int(np.count_nonzero(allowed)) <= asked:
            return np.flatnonzero(allowed)
        query = np.concatenate([factors, text, [popular]]).astype(np.float32)
        found = self._index.nearest(query, asked, allowed)
        if len(found) < asked:
            return np.flatnonzero(allowed)
        first = self._most_popular(allowed, wanted)
        return np.union1d(found, first) if len(first) else found

    def _most_popular(self, allowed: NDArray[np.bool_], wanted: int) -> Rows:
        """The most popular of the allowed rows, as many as are wanted or anybody took."""
        looked = 2 * wanted
        while True:
            first = self._popular[:looked]
            found = first[allowed[first]]
            if len(found) >= wanted or len(first) == len(self._popular):
                return found[:wanted]
            looked *= 4


def best_rows(totals: Weights, allowed: NDArray[np.bool_], wanted: int) -> Rows:
    """The allowed rows (bool [n]) of the ``wanted`` greatest totals float32 [n] and those equal to
    the last of them; all where there are no more."""
    rows = np.flatnonzero(allowed)
    if len(rows) <= wanted:
        return rows
    left = totals[rows]
    last = len(left) - wanted
    best: Rows = rows[left >= np.partition(left, last)[last]]
    return best
