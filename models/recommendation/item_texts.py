"""Items as their texts place them: what diversity, search, neighbours and new items live on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.recommendation.item_tower import ItemTower
from models.recommendation.text_features import Encode, TextFeatures

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class TextSpace:
    """What turns texts into vectors: learnt words, and the tower's two maps."""

    features: TextFeatures
    tower: ItemTower

    def place(self, texts: Sequence[str], encoded: Floats) -> ItemTexts:
        """The vectors of items of these texts; ``encoded`` are the encoder's."""
        words = self.features.words(texts)
        return self.of_words(words, encoded, self.features.dense(words, encoded))

    def of_words(self, words: Any, encoded: Floats, dense: Floats) -> ItemTexts:
        """The same from their weighted words and their dense form."""
        taken, offered = self.tower.of_history(dense), self.tower.of_candidates(dense)
        return ItemTexts(words, encoded, dense, taken, offered)


@dataclass(frozen=True, eq=False, slots=True)
class ItemTexts:
    """Vectors of n items, float32: ``words`` CSR [n, terms] by their weight, ``encoded`` [n, e] as
    the encoder has them, ``dense`` [n, t] of both, ``taken`` [n, d] as a history holds them,
    ``offered`` [n, d] unit vectors as they may follow one."""

    words: Any
    encoded: Floats
    dense: Floats
    taken: Floats
    offered: Floats

    def __post_init__(self) -> None:
        parts = (self.encoded, self.dense, self.taken, self.offered)
        if {self.words.shape[0], *map(len, parts)} != {len(self.encoded)}:
            raise ValueError("vectors of different numbers of items")

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def meanings(self) -> Floats:
        """The dense form's half that is the encoder's, float32 [n, e]: of squared length one half,
        so that its products are half the cosines."""
        return self.dense[:, self.dense.shape[1] - self.encoded.shape[1] :]

    def with_rows(self, rows: NDArray[np.int64], others: ItemTexts) -> Self:
        """With the vectors of some rows (int64 [m]) replaced; rows from n on are added, all of them
        up to the last."""
        from scipy.sparse import vstack

        size = max(len(self), int(rows.max(initial=-1)) + 1)

        def merged(mine: Floats, theirs: Floats) -> Floats:
            whole = np.zeros((size, mine.shape[1]), np.float32)
            whole[: len(mine)] = mine
            whole[rows] = theirs
            return whole

        source = np.arange(size)
        source[rows] = len(self) + np.arange(len(rows))
        words = vstack([self.words, others.words]).tocsr()[source]
        names = ("encoded", "dense", "taken", "offered")
        dense = {name: merged(getattr(self, name), getattr(others, name)) for name in names}
        return replace(self, words=words, **dense)


def read_texts(
    texts: Sequence[str], encode: Encode, *, known: dict[str, Floats] | None = None
) -> Floats:
    """The encoder's vectors of texts, float32 [n, e]; those in ``known`` are not encoded again."""
    known = known or {}
    missing = list(dict.fromkeys(text for text in texts if text not in known))
    fresh = dict(zip(missing, encode(missing), strict=True)) if missing else {}
    if not texts:
        return encode([])
    return np.stack([known[text] if text in known else fresh[text] for text in texts])
