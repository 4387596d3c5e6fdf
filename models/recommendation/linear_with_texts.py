"""The matrix of items with what texts say added to it: a score of both at the price of one.

    score(h -> i) = B[h, i] + t(i) · taken(h) · offered(i)        summed over a history

Both addends are linear in the history and weigh its events alike, so that their sum is a matrix of
the same size. Reading all texts for each list cost more than all else of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.recommendation.behaviour import LinearBehaviour
from models.recommendation.history_matrix import history_weights
from shared.histories import Rows, UserHistory, Weights

Floats = NDArray[np.float32]
BLOCK = 1024


@dataclass(frozen=True, eq=False, slots=True)
class LinearWithTexts:
    """``sums`` float32 [items, items] of behaviour and texts; ``taken`` and ``offered`` float32
    [items, d] are those texts, the latter times their weight; ``own`` float32 [items] is that of
    the behaviour. Rows of a history beyond those items must be left out by the caller."""

    sums: Floats
    taken: Floats
    offered: Floats
    own: Floats
    kind = LinearBehaviour.kind

    @classmethod
    def of(
        cls, linear: LinearBehaviour, taken: Floats, offered: Floats, *, in_place: bool = False
    ) -> Self:
        """Add the texts to a matrix; ``in_place`` to that of ``linear``, which is another then."""
        own = linear.own  # read before the matrix is another
        sums = linear.weights if in_place else linear.weights.copy()
        if offered.any():
            for start in range(0, len(sums), BLOCK):
                sums[start : start + BLOCK] += taken[start : start + BLOCK] @ offered.T
        return cls(sums, taken, offered, own)

    @property
    def items(self) -> int:
        """How many items it was fitted on."""
        return len(self.sums)

    @property
    def factors(self) -> Floats:
        """None: all items are scored."""
        return np.zeros((self.items, 0), np.float32)

    def fold_in(self, history: UserHistory) -> Floats:
        """Nothing."""
        return np.zeros(0, np.float32)

    def summed(self, history: UserHistory, decay: float) -> tuple[Weights, Floats]:
        """Scores of behaviour and texts, float32 [items], and the history's own vector of texts
        that is in them, float32 [d]."""
        counted = history_weights(history, decay)
        seen = np.flatnonzero(counted)
        rows, counted = history.rows[seen], counted[seen]
        if not len(seen):
            return np.zeros(self.items, np.float32), np.zeros(self.taken.shape[1], np.float32)
        return counted @ self.sums[rows], counted @ self.taken[rows]

    def scores(self, history: UserHistory, decay: float) -> Weights:
        """Those of behaviour alone, float32 [items]."""
        summed, user = self.summed(history, decay)
        return self.alone(summed, user, slice(None))

    def alone(self, summed: Weights, user: Floats, rows: Rows | slice) -> Weights:
        """What behaviour alone says of some rows, out of what ``summed`` gave."""
        alone: Weights = summed[rows] - self.offered[rows] @ user
        return alone

    def contributions(self, history: UserHistory, rows: Rows, decay: float) -> Weights:
        """Each addend of behaviour, float32 [h, rows]."""
        given: Weights = self.sums[np.ix_(history.rows, rows)]
        given -= self.taken[history.rows] @ self.offered[rows].T
        given *= history_weights(history, decay)[:, None]
        return given

    def similar(self, row: int) -> Weights:
        """Half of what the item's behaviour says for others, half of what theirs says for it."""
        said = self.sums[row] - self.offered @ self.taken[row]
        heard = self.sums[:, row] - self.taken @ self.offered[row]
        near: Weights = np.float32(0.5) * (said + heard)
        return near
