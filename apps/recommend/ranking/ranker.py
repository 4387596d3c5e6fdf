"""One list for one request: filters, scores and choice in their order.

Asks the scorer for more where a large catalogue's candidates were too few for what is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from apps.recommend.ranking.catalogue_arrays import CatalogueArrays
from apps.recommend.ranking.filters import Filters, Missing, allowed_rows, missing_because
from apps.recommend.ranking.listing import ListRequest, RankedList, make_list
from models.recommendation.scoring import PARTS, ItemScorer, ItemScores
from shared.histories import Rows, UserHistory, Weights


@dataclass(frozen=True, eq=False, slots=True)
class Wish:
    """What one request wants to see: filters, the shape of its list, and the rows that its user
    bought (or disliked: neither is offered again) and has seen."""

    filters: Filters = field(default_factory=Filters)
    request: ListRequest = field(default_factory=ListRequest)
    bought: Collection[int] | Rows = ()
    seen: Collection[int] | Rows = ()


def rank_for_history(
    history: UserHistory,
    scorer: ItemScorer,
    arrays: CatalogueArrays,
    wish: Wish,
    *,
    now: float,
) -> RankedList:
    """The list for a user or a session (an empty history: for nobody in particular).

    ``now`` is in seconds since 1970 UTC. ``missing`` says why the list is shorter than ``k``.
    """
    request = wish.request
    allowed = allowed_rows(arrays, wish.filters, bought=wish.bought, seen=wish.seen)
    possible = int(np.count_nonzero(allowed))
    scores = scorer.score(history, allowed=allowed, wanted=request.pool, now=now)
    if request.exploration and len(scores.rows) < possible:
        new = allowed & ~scorer.fitted
        more = scorer.score(history, allowed=new, wanted=request.pool, now=now)
        scores = _joined(scores, more)
    ranked = make_list(scores, scorer, arrays, request, allowed)
    if len(ranked.entries) < request.k and len(scores.rows) < possible:
        scores = scorer.score(history, allowed=allowed, wanted=possible, now=now)
        ranked = make_list(scores, scorer, arrays, request, allowed)
    return _explained(ranked, arrays, wish)


def rank_by_values(
    values: Weights, scorer: ItemScorer, arrays: CatalogueArrays, wish: Wish, *, part: str
) -> RankedList:
    """The list by one value per row, float32 [n]: what lies near an item or fits a text.

    ``part`` is the name in ``PARTS`` that the values count as.
    """
    allowed = allowed_rows(arrays, wish.filters, bought=wish.bought, seen=wish.seen)
    scores = scores_of(values, allowed, part=part)
    return _explained(make_list(scores, scorer, arrays, wish.request, allowed), arrays, wish)


def scores_of(values: Weights, allowed: NDArray[np.bool_], *, part: str) -> ItemScores:
    """Values of all rows as scores of the allowed ones, whole in one part."""
    rows = np.flatnonzero(allowed)
    totals = values[rows].astype(np.float32)
    nothing = np.zeros(len(rows), np.float32)
    return ItemScores(rows, totals, {name: totals if name == part else nothing for name in PARTS})


def _joined(scores: ItemScores, more: ItemScores) -> ItemScores:
    """Both, the rows that are in both once."""
    fresh = ~np.isin(more.rows, scores.rows)
    return ItemScores(
        np.concatenate([scores.rows, more.rows[fresh]]),
        np.concatenate([scores.totals, more.totals[fresh]]),
        {
            name: np.concatenate([part, more.parts[name][fresh]])
            for name, part in scores.parts.items()
        },
    )


def _explained(ranked: RankedList, arrays: CatalogueArrays, wish: Wish) -> RankedList:
    """The list with every reason why it is shorter than was asked for."""
    if len(ranked.entries) == wish.request.k:
        return ranked
    filtered = missing_because(arrays, wish.filters, bought=wish.bought, seen=wish.seen)
    listed = int(np.count_nonzero(arrays.listed))
    too_few = max(0, wish.request.k - listed)
    size = (Missing("catalogue_size", too_few),) if too_few else ()
    return RankedList(ranked.entries, (*filtered, *ranked.missing, *size), ranked.scores)
