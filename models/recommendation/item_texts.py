"""Items as their texts place them: what diversity, search, neighbours and new items live on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

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
        dense = self.features.dense(self.features.words(texts), encoded)
        return self.of_dense(encoded, dense)

    def of_dense(self, encoded: Floats, dense: Floats) -> ItemTexts:
        """The same from their dense form."""
        return ItemTexts(
            encoded, dense, self.tower.of_history(dense), self.tower.of_candidates(dense)
        )


@dataclass(frozen=True, eq=False, slots=True)
class ItemTexts:
    """Vectors of n items, float32: ``encoded`` [n, e] as the encoder has them, ``dense`` [n, t]
    with their words, ``taken`` [n, d] as a history holds them, ``offered`` [n, d] unit vectors as
    they may follow one."""

    encoded: Floats
    dense: Floats
    taken: Floats
    offered: Floats

    def __post_init__(self) -> None:
        if not len(self.encoded) == len(self.dense) == len(self.taken) == len(self.offered):
            raise ValueError("vectors of different numbers of items")

    def __len__(self) -> int:
        return len(self.encoded)

    def with_rows(self, rows: NDArray[np.int64], others: ItemTexts) -> Self:
        """With the vectors of some rows (int64 [m]) replaced; rows from n on are added."""
        size = max(len(self), int(rows.max(initial=-1)) + 1)

        def merged(mine: Floats, theirs: Floats) -> Floats:
            whole = np.zeros((size, mine.shape[1]), np.float32)
            whole[: len(mine)] = mine
            whole[rows] = theirs
            return whole

        names = ("encoded", "dense", "taken", "offered")
        return replace(
            self, **{name: merged(getattr(self, name), getattr(others, name)) for name in names}
        )


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
