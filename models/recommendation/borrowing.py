"""What is known of a new item before anybody took it: the behaviour of those that read like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.histories import Rows

Floats = NDArray[np.float32]

LENDERS = 10
SHARPNESS = 3
"""Lenders count by their nearness to this power."""

BLOCK = 1024


@dataclass(frozen=True, eq=False, slots=True)
class Borrowed:
    """New items' ``rows`` int64 [m], the rows of the known items nearest to each (``lenders`` int64
    [m, k]) and how much each lends (``shares`` float32 [m, k], summing to 1, or 0 where no text is
    near)."""

    rows: Rows
    lenders: Rows
    shares: Floats

    @classmethod
    def of(cls, texts: Floats, known: NDArray[np.bool_]) -> Self:
        """By inner products of ``texts`` float32 [n, t]; items not ``known`` (bool [n]) borrow."""
        rows, lending = np.flatnonzero(~known), np.flatnonzero(known)
        count = min(LENDERS, len(lending))
        lenders = np.zeros((len(rows), count), np.int64)
        shares = np.zeros((len(rows), count), np.float32)
        for start in range(0, len(rows) if count else 0, BLOCK):
            cut = slice(start, start + BLOCK)
            near = texts[rows[cut]] @ texts[lending].T
            nearest = np.argpartition(-near, count - 1, axis=1)[:, :count]
            weights = np.maximum(np.take_along_axis(near, nearest, axis=1), 0.0) ** SHARPNESS
            sums = weights.sum(axis=1, keepdims=True)
            shares[cut] = np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0)
            lenders[cut] = lending[nearest]
        return cls(rows, lenders, shares)

    def lent(self, scores: Floats) -> Floats:
        """What the new items borrow of scores of all items, float32 [..., n] to [..., m]."""
        found: Floats = np.einsum("...mk,mk->...m", scores[..., self.lenders], self.shares)
        return found
