"""A small catalogue with behaviour that follows its words, and an encoder anyone can follow."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models.recommendation.als import AlsOptions, fit_als
from models.recommendation.behaviour import FactorBehaviour
from models.recommendation.fitting import CatalogueTexts, fit_parts, read_catalogue
from models.recommendation.recipe import RecommendRecipe
from models.recommendation.recommender import Blend, Recommender
from shared.catalogue import CatalogueItem
from shared.histories import Histories

KINDS = ("lens", "kettle", "tent", "novel")
DIMENSIONS = 24
RECIPE = RecommendRecipe(regularisation=5.0, text_weight=2.0, tower_dimensions=12, tower_epochs=2)
BLEND = Blend(decay=0.8, text=0.3, new_text=0.7, popular=0.05)
ALS = AlsOptions(factors=6, alpha=3.0, regularisation=0.5, prior_weight=1.0, iterations=3)


@dataclass
class WordHashes:
    """An ``Encode``: unit vectors of the sums of the words' fixed directions; ``read`` keeps the
    texts that it was given."""

    read: list[str] = field(default_factory=list)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.read += texts
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in text.casefold().split():
                vector += _direction(word)
            length = np.linalg.norm(vector)
            vector /= length if length else 1.0
        return vectors


def _direction(word: str) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)


def items_of(count: int = 32) -> tuple[CatalogueItem, ...]:
    """Items ``i0`` on, each of the kind of its number; all of one kind share words."""
    return tuple(
        CatalogueItem(
            f"i{row}",
            f"{KINDS[row % 4]} {row}",
            f"a {KINDS[row % 4]} of series {row // 4} with word{row % 7} and word{row % 5}",
        )
        for row in range(count)
    )


def histories_over(
    items: Sequence[CatalogueItem], *, users: int = 40, seed: int = 0, untouched: int = 3
) -> Histories:
    """Users who stay with one kind and go on to the next item of it; some events repeat, some are
    dislikes. The last ``untouched`` items have no event."""
    rng = np.random.default_rng(seed)
    rows: list[int] = []
    starts = [0]
    last = len(items) - untouched
    for user in range(users):
        at = user % 4 + 4 * int(rng.integers(0, 3))
        for _ in range(int(rng.integers(1, 9))):
            rows.append(at % last if rng.random() < 0.9 else int(rng.integers(last)))
            at += 4 if rng.random() < 0.8 else 0
        starts.append(len(rows))
    return Histories(
        tuple(item.id for item in items),
        tuple(f"u{user:03}" for user in range(users)),
        np.array(starts, np.int64),
        np.array(rows, np.int64),
        rng.choice([1.0, 1.0, 1.0, 2.0, 3.0, -2.0], len(rows)).astype(np.float32),
        np.arange(len(rows), dtype=np.float64),
    )


def drawn_histories(rng: np.random.Generator, *, users: int, items: int) -> Histories:
    """Histories without any rule: of 0 to 7 events, with repeats and dislikes, without times."""
    lengths = rng.integers(0, 8, users)
    events = int(lengths.sum())
    return Histories(
        tuple(f"i{row}" for row in range(items)),
        tuple(f"u{user:03}" for user in range(users)),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        rng.integers(0, items, events),
        rng.choice([1.0, 3.0, 0.5, -2.0], events).astype(np.float32),
        np.full(events, np.nan),
    )


def catalogue_of(items: Sequence[CatalogueItem]) -> CatalogueTexts:
    """The items' texts, read."""
    return read_catalogue(items, WordHashes(), seed=1)


def fitted(
    kind: str = "sequence_linear", *, seed: int = 0, blend: Blend = BLEND
) -> tuple[Recommender, Histories]:
    """A recommender of that behaviour over 32 items, and the histories that it was fitted on."""
    items = items_of()
    histories, catalogue = histories_over(items, seed=seed), catalogue_of(items)
    whole = fit_parts(histories, catalogue, recipe=RECIPE, seed=1, blend=blend)
    if kind == "als":
        factors = FactorBehaviour(fit_als(histories, catalogue.dense, options=ALS))
        whole = replace(whole, behaviour=factors)
    return whole, histories
