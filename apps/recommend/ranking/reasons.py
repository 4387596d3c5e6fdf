"""Why an item stands in a list: its score taken apart into what each item of the history gave.

    score = sum over the history of contributions + the part "popular"

A share is a positive addend divided by all positive addends of the score, so that the shares of
an item and of its popularity add up to 1. What spoke against it is told apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.recommendation.scoring import ItemScorer, ItemScores
from shared.histories import Rows, UserHistory

Given = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Because:
    """An item of the history (its row), what all its events together gave to the score, and their
    share in [0, 1] of all that spoke for it (0 where they spoke against it)."""

    row: int
    share: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Reasons:
    """Where the score of one row comes from.

    ``because`` holds what spoke for it, the most first, and ``other_share`` what was left off;
    their shares, ``other_share`` and ``popular_share`` add up to 1, or are all 0 where nothing
    spoke for the item. ``against`` holds what spoke against it, the most first. ``nearest`` is the
    row of the history whose text is nearest to that of a new item, and its cosine is
    ``nearest_similarity``; None for an item that the model was fitted on.
    """

    row: int
    because: tuple[Because, ...]
    other_share: float
    popular_share: float
    against: tuple[Because, ...]
    nearest: int | None
    nearest_similarity: float | None


def explain(
    history: UserHistory,
    scorer: ItemScorer,
    scores: ItemScores,
    *,
    now: float,
    most: int | None = 3,
) -> tuple[Reasons, ...]:
    """The reasons of each scored row, in their order.

    ``scores`` are those of the rows for this history at ``now`` (``RankedList.scores``); ``most``
    is how many items of the history are named on each side, None for all.
    """
    if most is not None and most < 1:
        raise ValueError(f"most is at least 1, and is {most}")
    items, given = _by_item(history, scorer, scores.rows, now)
    popular = scores.parts["popular"].astype(np.float64)
    nearest = _nearest(history, scorer, scores.rows)
    return tuple(
        _reasons(row, items, given[:, column], float(popular[column]), nearest.get(row), most)
        for column, row in enumerate(scores.rows.tolist())
    )


def _reasons(
    row: int,
    items: Rows,
    given: Given,
    popular: float,
    nearest: tuple[int, float] | None,
    most: int | None,
) -> Reasons:
    """The reasons of one row: what each item gave to it (float64 [m]), and its popularity."""
    speaking = max(popular, 0.0) + float(np.maximum(given, 0).sum())
    order = np.argsort(-given, kind="stable")
    ahead, behind = np.count_nonzero(given > 0), np.count_nonzero(given < 0)
    told = order[:ahead][:most]
    left = float(given[order[len(told) : ahead]].sum())
    return Reasons(
        row,
        tuple(
            Because(item, gave / speaking, gave)
            for item, gave in zip(items[told].tolist(), given[told].tolist(), strict=True)
        ),
        left / speaking if left else 0.0,
        popular / speaking if popular > 0 else 0.0,
        tuple(Because(int(items[at]), 0.0, float(given[at])) for at in order[::-1][:behind][:most]),
        *(nearest or (None, None)),
    )


def _by_item(
    history: UserHistory, scorer: ItemScorer, rows: Rows, now: float
) -> tuple[Rows, Given]:
    """The items of the history, int64 [m], and what each gave to the rows, float64 [m, rows]."""
    items, item_of = np.unique(history.rows, return_inverse=True)
    given = np.zeros((len(items), len(rows)))
    if len(items) and len(rows):
        events = scorer.contributions(history, rows, now=now).astype(np.float64)
        np.add.at(given, item_of, events)
    return items, given


def _nearest(history: UserHistory, scorer: ItemScorer, rows: Rows) -> dict[int, tuple[int, float]]:
    """For each new row the liked item of the history whose text is nearest, and the cosine."""
    new = rows[~scorer.fitted[rows]]
    items, item_of = np.unique(history.rows, return_inverse=True)
    liked = items[np.bincount(item_of, history.strengths, len(items)) > 0]
    if not len(new) or not len(liked):
        return {}
    cosines = scorer.vectors[new] @ scorer.vectors[liked].T
    cosines[new[:, None] == liked] = -np.inf
    best = cosines.argmax(axis=1)
    return {
        int(row): (int(liked[at]), float(cosines[place, at]))
        for place, (row, at) in enumerate(zip(new, best, strict=True))
        if cosines[place, at] > -np.inf
    }
