"""Histories as sparse matrices: rows of users, columns of items."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.histories import Histories, Rows


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
