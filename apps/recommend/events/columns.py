"""All events of a tenant as arrays, from rows that are read a portion at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from shared.histories import Histories


def histories_of_columns(
    portions: Iterable[Sequence[Sequence[Any]]], item_ids: Sequence[str]
) -> Histories:
    """Histories over ``item_ids`` of rows (user, item, strength, time, order of arrival).

    Rows come in any order; those of other items are left out. Users stand in alphabetical order,
    the events of one in that of their times, those of one time in that of arrival.
    """
    row_of = {item: row for row, item in enumerate(item_ids)}
    number: dict[str, int] = {}
    kept: list[tuple[np.ndarray[Any, Any], ...]] = []
    for portion in portions:
        known = [row for row in portion if row[1] in row_of]
        kept.append(
            (
                np.array([number.setdefault(row[0], len(number)) for row in known], np.int64),
                np.array([row_of[row[1]] for row in known], np.int64),
                np.array([row[2] for row in known], np.float32),
                np.array([row[3].timestamp() for row in known], np.float64),
                np.array([row[4] for row in known], np.int64),
            )
        )
    owners, rows, strengths, times, arrival = (
        np.concatenate([part[column] for part in kept]) if kept else np.zeros(0, kind)
        for column, kind in enumerate((np.int64, np.int64, np.float32, np.float64, np.int64))
    )
    user_ids = sorted(number)
    place = np.empty(len(number), np.int64)
    place[[number[user] for user in user_ids]] = np.arange(len(number))
    owners = place[owners]
    order = np.lexsort((arrival, times, owners))
    starts = np.searchsorted(owners[order], np.arange(len(user_ids) + 1)).astype(np.int64)
    return Histories(
        tuple(item_ids), tuple(user_ids), starts, rows[order], strengths[order], times[order]
    )
