"""The choice of a list's entries: variety, caps, new items, less of what everybody knows.

    candidates -> new items first, for exploration -> the best (damped), each unlike those before

Variety is maximal marginal relevance: Carbonell and Goldstein, "The Use of MMR", SIGIR 1998.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recommend.ranking.catalogue_arrays import NO_CATEGORY, CatalogueArrays
from models.recommendation.scoring import ItemScorer
from shared.histories import Rows

MAX_LIST = 1000

FIRST_LOOK = 64
"""Of a pool's greatest values so many are compared with what was taken before more are."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """How long a list is and what it is made for.

    ``diversity`` weighs unlikeness to the entries before against relevance. ``category_cap`` is
    how many items of one category may stand in the list (those without one are not capped).
    ``exploration`` is the share of the entries that goes to new items, drawn with ``seed``, which
    also decides where they stand. ``damping`` takes that share of its relevance from the most
    popular item, and from others by the square root of their popularity. All three in [0, 1].
    """

    k: int = 10
    diversity: float = 0.0
    category_cap: int | None = None
    exploration: float = 0.0
    damping: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_LIST:
            raise ValueError(f"k lies from 1 to {MAX_LIST}, and is {self.k}")
        for name in ("diversity", "exploration", "damping"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies from 0 to 1, and is {getattr(self, name)}")
        if self.category_cap is not None and self.category_cap < 1:
            raise ValueError(f"category_cap is at least 1, and is {self.category_cap}")
        if self.seed < 0:
            raise ValueError(f"seed is at least 0, and is {self.seed}")

    @property
    def pool(self) -> int:
        """How many of the best candidates a list is chosen from, unless caps need more."""
        return max(100, 5 * self.k) * (4 if self.damping else 1)


class Choice:
    """The choosing of one list; places are positions among its candidates."""

    def __init__(
        self,
        rows: Rows,
        totals: NDArray[np.float32],
        scorer: ItemScorer,
        arrays: CatalogueArrays,
        request: ListRequest,
    ) -> None:
        self.rows, self.totals = rows, totals
        self.scorer, self.request = scorer, request
        self.categories = arrays.categories[rows]
        self.taken: list[int] = []
        self.full: set[int] = set()
        self.counts: dict[int, int] = {}

    def explore(self) -> list[int]:
        """Places of new items, drawn among the best of them; taken before all others."""
        request = self.request
        if not request.exploration:
            return []
        draw = np.random.default_rng(request.seed)
        share = request.exploration * request.k
        wanted = int(share) + int(draw.random() < share % 1)
        for place in self._new_places(draw, wanted):
            if len(self.taken) == wanted:
                break
            if int(self.categories[place]) not in self.full:
                self._take(place)
        return list(self.taken)

    def _new_places(self, draw: np.random.Generator, wanted: int) -> Iterator[int]:
        """Places of new items: the best shuffled, then the rest, for where caps close those."""
        new = np.flatnonzero(~self.scorer.fitted[self.rows])
        totals, rows = self.totals[new], self.rows[new]
        best = new[_best(totals, rows, max(20, 5 * wanted))]
        yield from draw.permutation(best).tolist()
        if len(new) > len(best):
            yield from new[_best(totals, rows, len(new))][len(best) :].tolist()

    def fill(self) -> list[int]:
        """Places of the other entries in their order, until there are ``k`` or no more."""
        start = len(self.taken)
        size, done = self.request.pool, 0
        while len(self.taken) < self.request.k and done < len(self.rows):
            pool = _best(self.totals, self.rows, done + size)[done:]
            self._fill_from(pool)
            done += len(pool)
            size *= 4
        return self.taken[start:]

    def _fill_from(self, pool: Rows) -> None:
        """Take the best of the pool one by one, until the list is full or the pool is empty.

        Likeness takes from a value and never adds to it: what stands below the best gain needs
        no look, so that the pool is looked at from its greatest value down, as far as needed.
        """
        strength = np.float32(self.request.diversity)
        value = (1 - strength) * self._relevance(pool)
        if self.taken:
            value[np.isin(pool, self.taken)] = -np.inf
        if self.full:
            value[np.isin(self.categories[pool], list(self.full))] = -np.inf
        order = np.argsort(-value, kind="stable")
        pool, value = pool[order], value[order]
        categories = self.categories[pool]
        near = _Nearness(self.scorer.vectors, self.rows[pool], self.rows[self.taken], strength)
        while len(self.taken) < self.request.k:
            gain = value[: near.looked] - strength * near.nearest
            best = int(gain.argmax())
            if near.looked < len(pool) and value[near.looked :].max() > gain[best]:
                near.look_further()
                continue
            if gain[best] == -np.inf:
                return
            value[best] = -np.inf
            self._take(int(pool[best]))
            if int(categories[best]) in self.full:
                value[categories == categories[best]] = -np.inf
            near.took(best)

    def _relevance(self, pool: Rows) -> NDArray[np.float32]:
        """The totals of the pool put between 0 and 1, less what damping takes, float32 [p]."""
        totals = self.totals[pool]
        low, high = totals.min(), totals.max()
        relevance = (totals - low) / (high - low) if high > low else np.ones_like(totals)
        if self.request.damping:
            popularity = np.sqrt(self.scorer.popularity[self.rows[pool]])
            relevance = relevance * (1 - np.float32(self.request.damping) * popularity)
        return relevance.astype(np.float32)

    def _take(self, place: int) -> None:
        self.taken.append(place)
        category, cap = int(self.categories[place]), self.request.category_cap
        if cap is not None and category != NO_CATEGORY:
            self.counts[category] = self.counts.get(category, 0) + 1
            if self.counts[category] == cap:
                self.full.add(category)


class _Nearness:
    """How near the first rows of a pool are to what was taken, as far as they were looked at."""

    def __init__(
        self, vectors: NDArray[np.float32], rows: Rows, taken: Rows, strength: np.float32
    ) -> None:
        self._vectors, self._rows = vectors, rows
        self._own = vectors[:0]
        self._taken = vectors[taken]
        self.nearest = np.zeros(0, np.float32)
        self._counts = bool(strength)
        self.looked = 0
        self.look_further()

    def look_further(self) -> None:
        """At twice as many rows; at all of them where likeness does not count."""
        more = max(FIRST_LOOK, self.looked) if self._counts else len(self._rows)
        fresh = self._rows[self.looked : self.looked + more]
        nearest = np.zeros(len(fresh), np.float32)
        if self._counts:
            own = self._vectors[fresh]
            self._own = np.concatenate([self._own, own])
            if len(self._taken):
                np.maximum(nearest, (own @ self._taken.T).max(axis=1), out=nearest)
        self.nearest = np.concatenate([self.nearest, nearest])
        self.looked += len(fresh)

    def took(self, place: int) -> None:
        """A row of those looked at now stands in the list."""
        if self._counts:
            self._taken = np.concatenate([self._taken, self._own[place : place + 1]])
            np.maximum(self.nearest, self._own @ self._own[place], out=self.nearest)


def _best(totals: NDArray[np.float32], rows: Rows, count: int) -> Rows:
    """Places of the ``count`` greatest, greatest first, of equal ones the lower row first."""
    places = np.arange(len(totals))
    if count < len(totals):
        cut = np.partition(totals, len(totals) - count)[len(totals) - count]
        places = np.flatnonzero(totals >= cut)
    order = np.lexsort((rows[places], -totals[places]))
    return places[order][:count]
