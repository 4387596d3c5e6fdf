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
    items, item_of = np.unique(history.rows, return_inverse=True)
    given = _by_item(history, scorer, scores.rows, now, item_of, len(items))
    order = np.argsort(-given, axis=0, kind="stable")
    popular = scores.parts["popular"].astype(np.float64)
    speaking = np.maximum(popular, 0) + np.maximum(given, 0).sum(axis=0)
    nearest = _nearest(history, scorer, scores.rows, items, item_of)
    columns = zip(
        scores.rows.tolist(),
        items[order].T.tolist(),
        np.take_along_axis(given, order, axis=0).T.tolist(),
        (given > 0).sum(axis=0).tolist(),
        (given < 0).sum(axis=0).tolist(),
        popular.tolist(),
        speaking.tolist(),
        strict=True,
    )
    return tuple(
        _reasons(row, sources, gave, (ahead, behind), popularity, whole, nearest.get(row), most)
        for row, sources, gave, ahead, behind, popularity, whole in columns
    )


def _reasons(
    row: int,
    sources: list[int],
    gave: list[float],
    sides: tuple[int, int],
    popular: float,
    speaking: float,
    nearest: tuple[int, float] | None,
    most: int | None,
) -> Reasons:
    """The reasons of one row: the items of the history and what they gave to it, the most first;
    how many of them spoke for it and against it; its popularity; and all that spoke for it."""
    ahead, behind = sides
    told = ahead if most is None else min(most, ahead)
    left = sum(gave[told:ahead])
    worst_first = range(len(gave) - 1, len(gave) - 1 - behind, -1)
    return Reasons(
        row,
        tuple(Because(sources[at], gave[at] / speaking, gave[at]) for at in range(told)),
        left / speaking if left else 0.0,
        popular / speaking if popular > 0 else 0.0,
        tuple(Because(sources[at], 0.0, gave[at]) for at in worst_first[:most]),
        *(nearest or (None, None)),
    )


def _by_item(
    history: UserHistory, scorer: ItemScorer, rows: Rows, now: float, item_of: Rows, items: int
) -> Given:
    """What each item of the history (``item_of`` says which one an event is of) gave to the rows,
    float64 [items, rows]."""
    given = np.zeros((items, len(rows)))
    if items and len(rows):
        events = scorer.contributions(history, rows, now=now).astype(np.float64)
        if items == len(history):
            given[item_of] = events
        else:
            np.add.at(given, item_of, events)
    return given


def _nearest(
    history: UserHistory, scorer: ItemScorer, rows: Rows, items: Rows, item_of: Rows
) -> dict[int, tuple[int, float]]:
    """For each new row the liked item of the history whose text is nearest, and the cosine."""
    new = rows[~scorer.fitted[rows]]
    if not len(new) or not len(items):
        return {}
    liked = items[np.bincount(item_of, history.strengths, len(items)) > 0]
    if not len(liked):
        return {}
    cosines = scorer.vectors[new] @ scorer.vectors[liked].T
    cosines[new[:, None] == liked] = -np.inf
    best = cosines.argmax(axis=1)
    nearest = np.take_along_axis(cosines, best[:, None], axis=1)[:, 0].tolist()
    return {
        row: (item, cosine)
        for row, item, cosine in zip(new.tolist(), liked[best].tolist(), nearest, strict=True)
        if cosine > -np.inf
    }
