"""From scores to the list that is shown, and why it is shorter than was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from apps.recommend.ranking.catalogue_arrays import CatalogueArrays
from apps.recommend.ranking.choosing import Choice, ListRequest
from apps.recommend.ranking.filters import Missing
from models.recommendation.scoring import ItemScorer, ItemScores

__all__ = ["ListRequest", "RankedEntry", "RankedList", "Source", "make_list"]

Source = Literal["behaviour", "text", "popular", "exploration"]

_SOURCES: tuple[Source, ...] = ("popular", "behaviour", "text")
"""Of equal parts the first counts: a score of nothing at all is that of an unknown user."""


@dataclass(frozen=True, slots=True)
class RankedEntry:
    """One place of a list: the item's row, its score as the model gave it, and the part that most
    of the score comes from (``exploration`` for a new item that was given its place)."""

    row: int
    score: float
    source: Source


@dataclass(frozen=True, eq=False, slots=True)
class RankedList:
    """The entries, best first, and why there are not more of them where they are too few.

    ``scores`` are those of the entries, in their order: what reasons are made from.
    """

    entries: tuple[RankedEntry, ...]
    missing: tuple[Missing, ...]
    scores: ItemScores


def make_list(
    scores: ItemScores,
    scorer: ItemScorer,
    arrays: CatalogueArrays,
    request: ListRequest,
    allowed: NDArray[np.bool_],
) -> RankedList:
    """The list of a request out of scored candidates: ``k`` entries, or all that are possible.

    Candidates that are not allowed (bool [n]) never stand in it, and nothing stands in it twice.
    ``missing`` counts the candidates that a cap kept out; what filters did is not known here.
    """
    places = np.flatnonzero(allowed[scores.rows])
    choice = Choice(scores.rows[places], scores.totals[places], scorer, arrays, request)
    explored = choice.explore()
    chosen = _interleaved(choice.fill(), explored, request)
    picked = places[np.array(chosen, dtype=np.int64)]
    own = ItemScores(
        scores.rows[picked],
        scores.totals[picked],
        {name: part[picked] for name, part in scores.parts.items()},
    )
    leading = np.argmax(np.stack([own.parts[name] for name in _SOURCES]), axis=0)
    exploring = set(explored)
    entries = tuple(
        RankedEntry(
            int(own.rows[number]),
            float(own.totals[number]),
            "exploration" if place in exploring else _SOURCES[leading[number]],
        )
        for number, place in enumerate(chosen)
    )
    short = len(entries) < request.k
    capped = len(places) - len(entries)
    return RankedList(entries, (Missing("category_cap", capped),) if short and capped else (), own)


def _interleaved(
    ordered: Sequence[int], explored: Sequence[int], request: ListRequest
) -> list[int]:
    """The ordered places with the explored ones put in between, the first kept where it is."""
    if not explored:
        return list(ordered)
    total = len(ordered) + len(explored)
    first = 1 if ordered else 0
    draw = np.random.default_rng([request.seed, 1])
    at = set(draw.choice(np.arange(first, total), len(explored), replace=False).tolist())
    one, other = iter(ordered), iter(explored)
    return [next(other) if place in at else next(one) for place in range(total)]
