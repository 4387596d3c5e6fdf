"""What is known of a new item before anybody took it: the behaviour of those that read like it.

    behaviour(new) = Σₗ shareₗ · behaviour(l)          l: the known items whose texts are nearest
    shares         = (K + NOISE · I)⁻¹ k               K among the lenders, k between them and it

K and k are likenesses of texts: half the cosine of words, half that of meanings. This is ridge
regression from texts to behaviour over the neighbourhood alone (kriging in a moving window, Haas
1990). Unlike in a mean by nearness, lenders that say the same share one voice: ten shades of one
lipstick do not drown the one other thing that the text is about.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.recommendation.item_texts import ItemTexts
from shared.histories import Rows

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

LENDERS = 64
NOISE = 0.3
"""How much of what a lender's behaviour says is its own, in units of a text's likeness to itself.
Validation on Amazon Beauty chose both (docs/tried.md)."""

BLOCK = 128


@dataclass(frozen=True, eq=False)
class Borrowed:
    """New items' ``rows`` int64 [m], ascending, the rows of the known items nearest to each
    (``lenders`` int64 [m, k]) and how much each lends (``shares`` float32 [m, k], 0 where no text
    is near; below 0 for what others lend too much of)."""

    rows: Rows
    lenders: Rows
    shares: Floats

    @classmethod
    def of(cls, texts: ItemTexts, known: Flags, *, rows: Rows | None = None) -> Self:
        """Items not ``known`` (bool [n]) borrow; ``rows`` are those of them that are wanted."""
        rows = np.flatnonzero(~known) if rows is None else rows
        lending = np.flatnonzero(known)
        count = min(LENDERS, len(lending))
        lenders = np.zeros((len(rows), count), np.int64)
        shares = np.zeros((len(rows), count), np.float32)
        if not lenders.size:
            return cls(rows, lenders, shares)
        words, meanings = texts.words[lending].T.tocsr(), texts.meanings[lending].T
        for start in range(0, len(rows), BLOCK):
            cut = slice(start, start + BLOCK)
            near = texts.meanings[rows[cut]] @ meanings
            near += 0.5 * (texts.words[rows[cut]] @ words).toarray()
            nearest = np.argpartition(-near, count - 1, axis=1)[:, :count]
            lenders[cut] = lending[nearest]
            like = np.maximum(np.take_along_axis(near, nearest, axis=1), 0.0)
            among = _likeness_among(texts, lenders[cut])
            among[:, np.arange(count), np.arange(count)] += NOISE
            shares[cut] = np.linalg.solve(among, like[..., None])[..., 0]
        return cls(rows, lenders, shares)

    def with_rows(self, others: Self) -> Self:
        """With those of ``others`` in place of its own, or beside them; of one known catalogue."""
        kept = ~np.isin(self.rows, others.rows)
        order = np.argsort(rows := np.concatenate([self.rows[kept], others.rows]))
        return replace(
            self,
            rows=rows[order],
            lenders=np.concatenate([self.lenders[kept], others.lenders])[order],
            shares=np.concatenate([self.shares[kept], others.shares])[order],
        )

    def matrix(self, items: int) -> Any:
        """The shares as float32 CSR [m, items]: times what is lent, it is what is borrowed."""
        from scipy.sparse import csr_matrix

        starts = np.arange(len(self.rows) + 1) * self.lenders.shape[1]
        return csr_matrix(
            (self.shares.ravel(), self.lenders.ravel(), starts), (len(self.rows), items)
        )

    def lent(self, scores: Floats) -> Floats:
        """What the new items borrow of scores of all items, float32 [..., n] to [..., m]."""
        found: Floats = np.asarray((self.matrix(scores.shape[-1]) @ scores.T).T, np.float32)
        return found


def _likeness_among(texts: ItemTexts, lenders: Rows) -> Floats:
    """Likenesses of each group of items (int64 [m, k]) among themselves, float32 [m, k, k]."""
    meanings = texts.meanings[lenders]
    found: Floats = meanings @ meanings.transpose(0, 2, 1)
    for place, group in enumerate(lenders):
        words = texts.words[group]
        found[place] += 0.5 * (words @ words.T).toarray()
    return found
