"""Histories as sparse matrices: rows of users, columns of items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.histories import Histories, Rows, UserHistory

RECALLED = 100
"""How many of a user's newest events count; at any decay below .95 the rest weighs nothing."""


def interactions(histories: Histories) -> Any:
    """1 where a user took an item, float32 CSR [users, items]; dislikes are left out."""
    from scipy.sparse import csr_matrix

    kept = histories.strengths > 0
    matrix = csr_matrix(
        (
            np.ones(int(kept.sum()), np.float32),
            (histories.owners[kept], histories.rows[kept]),
        ),
        (histories.users, histories.items),
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def decayed_histories(histories: Histories, users: Rows, decay: float) -> Any:
    """What is shown of each user, float32 CSR [users, items]: ``decay`` to the distance from the
    history's end, so that its newest event weighs 1. What speaks against its item is left out."""
    from scipy.sparse import csr_matrix

    chosen = histories.of_users(users)
    chosen = chosen.keep(chosen.strengths > 0)
    lengths = np.diff(chosen.starts)
    distance = np.repeat(chosen.starts[1:], lengths) - 1 - np.arange(len(chosen.rows))
    weights = np.power(decay, distance).astype(np.float32)
    return csr_matrix((weights, (chosen.owners, chosen.rows)), (chosen.users, chosen.items))


def event_weights(
    distance: NDArray[np.int64], strengths: NDArray[np.float32], decay: float
) -> NDArray[np.float32]:
    """How much events count, float32 [events]: ``decay`` to their distance from the history's end,
    times the root of how much they say for their item; below zero where they speak against it."""
    worth = np.sign(strengths) * np.sqrt(np.abs(strengths))
    return (worth * np.power(decay, distance) * (distance < RECALLED)).astype(np.float32)


def history_weights(history: UserHistory, decay: float) -> NDArray[np.float32]:
    """``event_weights`` of one history, float32 [h]."""
    distance = np.arange(len(history) - 1, -1, -1)
    return event_weights(distance, history.strengths, decay)


def weighted_histories(
    histories: Histories, users: Rows, decay: float
) -> tuple[Any, NDArray[np.float32]]:
    """``event_weights`` of some users, float32 CSR [users, items], those of one item added up; and
    the sum of their sizes, float32 [users], in which a dislike does not take back a view."""
    from scipy.sparse import csr_matrix

    chosen = histories.of_users(users)
    owners = chosen.owners
    distance = chosen.starts[1:][owners] - 1 - np.arange(len(chosen.rows))
    weights = event_weights(distance, chosen.strengths, decay)
    sizes = np.bincount(owners, np.abs(weights), minlength=chosen.users).astype(np.float32)
    return csr_matrix((weights, (owners, chosen.rows)), (chosen.users, chosen.items)), sizes
