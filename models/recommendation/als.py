"""Implicit alternating least squares whose items start at their texts.

Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets" (2008), with two
additions. An item's factor is drawn to W·t, its text vector mapped into the factors' space, and not
to zero: a new item stands there, and events move it away. And what nobody did with an item speaks
against it only so far as the item was met at all: an unobserved pair weighs n / (n + exposure) for
an item that n users met. The loss, over users x and items y:

    Σ c (p - x·y)²  +  λ Σ |x|²  +  ρ Σ |y - W t|²  +  μ |W|²
    c = n / (n + exposure) + α |strength|,   p = 1 for liked, 0 for disliked and unobserved
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.recommendation.als_solver import (
    BLOCK_BYTES,
    Factors,
    Observed,
    Reals,
    RowSolver,
    weighted_gram,
)
from shared.errors import EmptyData, TrainingError
from shared.histories import Histories, Rows, UserHistory, Weights
from shared.made_once import made_once

SCORE_ROWS = 1024
"""How many users are folded in at once when many are scored."""


@dataclass(frozen=True, slots=True)
class AlsOptions:
    """How ``fit_als`` fits.

    ``factors`` numbers an item and user; ``alpha`` confidence per unit of strength;
    ``regularisation`` λ of users; ``prior_weight`` ρ, how strongly items are drawn to their texts;
    ``text_regularisation`` μ of the map from texts; ``exposure`` users at which an item counts as
    half met (more of it covers more of the catalogue); ``decay`` weight from one event of a history
    to the one before it, in (0, 1]. The defaults were chosen on validation events of Amazon Beauty.
    """

    factors: int = 128
    alpha: float = 40.0
    regularisation: float = 10.0
    prior_weight: float = 100.0
    text_regularisation: float = 1.0
    exposure: float = 5.0
    decay: float = 0.6
    iterations: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.factors < 1 or self.iterations < 1:
            raise ValueError("factors and iterations must be 1 or more")
        drawn = (self.regularisation, self.prior_weight, self.text_regularisation)
        if min(self.alpha, self.exposure, *drawn) <= 0 or not 0 < self.decay <= 1:
            raise ValueError("weights must be above 0, and decay at most 1")


@dataclass(frozen=True, eq=False)
class ImplicitAls:
    """A fitted factorisation; it never changes and is safe between threads.

    ``items`` float32 [n, f]; ``text_map`` W float32 [d, f]; ``met`` float32 [n], how far each item
    was met by users, 0 for one that sits at its text; ``users_gram`` float64 [f, f], Σ x xᵀ over
    the users that it was fitted on, which is all that placing an item needs of them.
    """

    items: Factors
    text_map: Factors
    met: Weights
    users_gram: Reals
    options: AlsOptions

    def __post_init__(self) -> None:
        if len(self.items) != len(self.met) or self.items.shape[1] != self.options.factors:
            raise ValueError("items, met and the number of factors do not fit each other")

    @made_once
    def items_gram(self) -> Reals:
        """Σ met y yᵀ over the items, float64 [f, f]: the background of every user's system."""
        return weighted_gram(self.items, self.met.astype(np.float64))

    @made_once
    def _solver(self) -> RowSolver:
        met = self.met.astype(np.float64)
        return RowSolver(self.items, met, self.options.regularisation, gram=self.items_gram)

    def fold_in(self, history: UserHistory) -> Weights:
        """The user's factors, float32 [f]: what a whole solve gives for this history. Zero for an
        empty one."""
        starts = np.array([0, len(history)], np.int64)
        observed = observe(starts, history.rows, history.strengths, self.options)
        folded: Weights = self._users(observed)[0]
        return folded

    def fold_in_many(self, histories: Histories, users: Rows) -> Factors:
        """The factors of some users, float32 [users, f]."""
        chosen = histories.of_users(users)
        return self._users(observe(chosen.starts, chosen.rows, chosen.strengths, self.options))

    def score_users(self, histories: Histories, users: Rows) -> NDArray[np.float32]:
        """How much each item suits some users, float32 [users, n]. Higher is better."""
        scores = np.empty((len(users), len(self.items)), np.float32)
        for start in range(0, len(users), SCORE_ROWS):
            cut = slice(start, start + SCORE_ROWS)
            np.matmul(self.fold_in_many(histories, users[cut]), self.items.T, out=scores[cut])
        return scores

    def text_prior(self, texts: NDArray[np.float32]) -> Factors:
        """Where items of these texts (float32 [k, d]) start, float32 [k, f]."""
        return texts.astype(np.float32) @ self.text_map

    def place_item(self, text: Weights, users: Factors, strengths: Weights) -> Weights:
        """An item's factors (float32 [f]) from its text (float32 [d]) and from what users did with
        it: their factors (float32 [m, f], each user once) and strengths (float32 [m])."""
        met = _met(np.array([len(users)]), self.options.exposure)
        solver = RowSolver(
            users, np.ones(len(users)), self.options.prior_weight, gram=self.users_gram
        )
        entries = np.arange(len(users), dtype=np.int64)
        plain = replace(self.options, decay=1.0)
        observed = observe(np.array([0, len(users)], np.int64), entries, strengths, plain)
        placed: Weights = solver.solve(observed, met, self.text_prior(text[None]))[0]
        return placed

    def with_texts(self, texts: NDArray[np.float32]) -> Self:
        """The model with items of these texts (float32 [k, d]) at the end, each at its text."""
        return replace(
            self,
            items=np.concatenate([self.items, self.text_prior(texts)]),
            met=np.concatenate([self.met, np.zeros(len(texts), np.float32)]),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that was fitted, by name, as ``of_arrays`` takes it."""
        return {
            "items": self.items,
            "text_map": self.text_map,
            "met": self.met,
            "users_gram": self.users_gram,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], options: AlsOptions) -> Self:
        """The model of stored arrays."""
        return cls(
            arrays["items"], arrays["text_map"], arrays["met"], arrays["users_gram"], options
        )

    def _users(self, observed: Observed) -> Factors:
        return self._solver.solve(observed, np.ones(observed.rows))


def fit_als(
    histories: Histories,
    texts: NDArray[np.float32] | None = None,
    *,
    options: AlsOptions = AlsOptions(),
    memory_limit: int | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> ImplicitAls:
    """Fit on all histories; ``texts`` float32 [n, d] are the items' vectors, in their order.

    Without texts every item is drawn to zero, which is plain implicit ALS. The same histories,
    options and processor give the same numbers. ``report`` is called after each iteration.

    EmptyData where there is no event; TrainingError, before anything is allocated, where the fit
    would hold more than ``memory_limit`` bytes.
    """
    if not len(histories.rows):
        raise EmptyData("there is no event to fit on: load events first")
    vectors = np.zeros((histories.items, 0), np.float32) if texts is None else texts
    if len(vectors) != histories.items:
        raise ValueError(f"{len(vectors)} text vectors for {histories.items} items")
    needed = bytes_to_fit(
        histories.items, histories.users, len(histories.rows), vectors.shape[1], options
    )
    if memory_limit is not None and needed > memory_limit:
        raise TrainingError(
            f"the fit would hold {needed / 2**30:.1f} GiB, more than the "
            f"{memory_limit / 2**30:.1f} allowed: take fewer factors than {options.factors}",
            needed=needed,
            allowed=memory_limit,
        )
    by_user = observe(histories.starts, histories.rows, histories.strengths, options)
    by_item = by_user.transposed(histories.items)
    met = _met(by_item.lengths, options.exposure)
    ones = np.ones(by_user.rows)
    rng = np.random.default_rng(options.seed)
    scale = 1.0 / np.sqrt(options.factors)
    text_map = (rng.standard_normal((vectors.shape[1], options.factors)) * scale).astype(np.float32)
    items = vectors @ text_map
    items += 0.1 * scale * rng.standard_normal(items.shape, dtype=np.float32)
    fit_map = _TextMap(vectors, met > 0, options)
    for iteration in range(options.iterations):
        if iteration:
            text_map = fit_map(items)
        solver = RowSolver(items, met, options.regularisation)
        users = solver.solve(by_user, ones)
        solver = RowSolver(users, ones, options.prior_weight)
        items = solver.solve(by_item, met, vectors @ text_map)
        report(iteration + 1)
    return ImplicitAls(items, text_map, met.astype(np.float32), weighted_gram(users, ones), options)


def bytes_to_fit(
    items: int, users: int, events: int, text_dimensions: int, options: AlsOptions
) -> int:
    """About how many bytes ``fit_als`` holds at its most, the texts it is given included."""
    factors, texts = options.factors, text_dimensions
    tables = 4 * factors * (3 * items + 2 * users) + 4 * items * texts
    systems = 8 * (6 * factors**2 + 2 * texts**2 + 2 * texts * factors)
    return tables + systems + 2 * 32 * events + 64 * events + 5 * BLOCK_BYTES


def observe(starts: Rows, rows: Rows, strengths: Weights, options: AlsOptions) -> Observed:
    """What histories say, one entry for each pair of a user and an item.

    The strengths of a pair are added up, each weighted by ``decay`` to its distance from the
    history's end. Above zero the item is liked, below disliked, with that much confidence.
    """
    count = len(starts) - 1
    owners = np.repeat(np.arange(count), np.diff(starts))
    from_end = starts[1:][owners] - 1 - np.arange(len(rows))
    worth = strengths.astype(np.float64) * options.decay**from_end
    order = np.lexsort((rows, owners))
    first = np.ones(len(rows), bool)
    first[1:] = (np.diff(owners[order]) != 0) | (np.diff(rows[order]) != 0)
    heads = np.flatnonzero(first)
    net = np.add.reduceat(worth[order], heads) if len(heads) else np.zeros(0)
    kept = np.abs(net) > 1e-9
    pairs = order[heads[kept]]
    return Observed(
        np.searchsorted(owners[pairs], np.arange(count + 1)).astype(np.int64),
        rows[pairs].astype(np.int64),
        options.alpha * np.abs(net[kept]),
        (net[kept] > 0).astype(np.float64),
    )


class _TextMap:
    """Ridge regression from the texts of met items to their factors; one matrix for all fits."""

    def __init__(
        self, vectors: NDArray[np.float32], met: NDArray[np.bool_], options: AlsOptions
    ) -> None:
        self._vectors, self._met = vectors, met
        ridge = options.text_regularisation / options.prior_weight
        gram = weighted_gram(vectors, met.astype(np.float64)) if vectors.shape[1] else np.eye(0)
        self._system = gram + ridge * np.eye(vectors.shape[1])

    def __call__(self, items: Factors) -> Factors:
        right = self._vectors[self._met].T @ items[self._met]
        return np.linalg.solve(self._system, right.astype(np.float64)).astype(np.float32)


def _met(users: Rows, exposure: float) -> Reals:
    """How far items were met, from how many users each has: 0 to below 1."""
    counts = users.astype(np.float64)
    return counts / (counts + exposure)
