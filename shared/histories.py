"""Users' histories as arrays: what models are fitted on and what evaluations split.

Rows of items are positions in ``item_ids``; the events of one user stand together, oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.catalogue import BehaviourEvent

Rows = NDArray[np.int64]
Weights = NDArray[np.float32]
Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class UserHistory:
    """What one user did: item rows int64 [h] oldest first, how much each event says for its item
    (float32 [h], below zero against it), and when (float64 [h], seconds since 1970 UTC, not a
    number where only the order is known)."""

    rows: Rows
    strengths: Weights
    times: Times

    def __post_init__(self) -> None:
        if not (len(self.rows) == len(self.strengths) == len(self.times)):
            raise ValueError("rows, strengths and times must be of one length")

    def __len__(self) -> int:
        return len(self.rows)

    def last(self, count: int) -> UserHistory:
        """The newest ``count`` events."""
        cut = slice(max(0, len(self) - count), None)
        return UserHistory(self.rows[cut], self.strengths[cut], self.times[cut])

    @classmethod
    def of(
        cls,
        rows: Sequence[int] | Rows,
        strengths: Sequence[float] | Weights | None = None,
        times: Sequence[float] | Times | None = None,
    ) -> UserHistory:
        """From plain sequences; strengths of 1 and unknown times where they are left out."""
        n = len(rows)
        return cls(
            np.asarray(rows, dtype=np.int64).reshape(n),
            np.ones(n, np.float32) if strengths is None else np.asarray(strengths, np.float32),
            np.full(n, np.nan) if times is None else np.asarray(times, np.float64),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Histories:
    """The histories of all users over one catalogue.

    The events of user ``u`` are ``starts[u]:starts[u + 1]`` of ``rows``, ``strengths``, ``times``.
    """

    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    starts: Rows
    rows: Rows
    strengths: Weights
    times: Times

    def __post_init__(self) -> None:
        if len(self.starts) != len(self.user_ids) + 1 or self.starts[-1] != len(self.rows):
            raise ValueError("starts must hold one position a user and the number of events")
        if not (len(self.rows) == len(self.strengths) == len(self.times)):
            raise ValueError("rows, strengths and times must be of one length")

    @property
    def items(self) -> int:
        """How many items the catalogue has."""
        return len(self.item_ids)

    @property
    def users(self) -> int:
        """How many users there are."""
        return len(self.user_ids)

    @property
    def timed(self) -> bool:
        """Whether every event has its time."""
        return bool(np.isfinite(self.times).all())

    @property
    def owners(self) -> Rows:
        """The user of each event, int64 [events]."""
        return np.repeat(np.arange(self.users), np.diff(self.starts))

    def of_user(self, user: int) -> UserHistory:
        """One user's history (views of the arrays)."""
        cut = slice(int(self.starts[user]), int(self.starts[user + 1]))
        return UserHistory(self.rows[cut], self.strengths[cut], self.times[cut])

    def keep(self, chosen: NDArray[np.bool_]) -> Histories:
        """The events that are chosen (bool [events]); every user stays, if with no event."""
        counts = np.bincount(self.owners[chosen], minlength=self.users)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Histories(
            self.item_ids,
            self.user_ids,
            starts,
            self.rows[chosen],
            self.strengths[chosen],
            self.times[chosen],
        )

    def of_users(self, users: Rows | NDArray[np.bool_]) -> Histories:
        """The histories of some users: positions int64 [n], or a mask bool [users]."""
        numbers = np.flatnonzero(users) if users.dtype == np.bool_ else users
        lengths = np.diff(self.starts)[numbers]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        events = np.concatenate(
            [np.arange(self.starts[user], self.starts[user + 1]) for user in numbers]
            or [np.zeros(0, np.int64)]
        ).astype(np.int64)
        return Histories(
            self.item_ids,
            tuple(self.user_ids[user] for user in numbers),
            starts,
            self.rows[events],
            self.strengths[events],
            self.times[events],
        )


def histories_of(events: Iterable[BehaviourEvent], item_ids: Sequence[str]) -> Histories:
    """Histories of the events whose item is in the catalogue; users in alphabetical order.

    Events of one user are put in the order of their times, those of equal or unknown time in the
    order they come in.
    """
    row_of = {item: row for row, item in enumerate(item_ids)}
    known = [event for event in events if event.item in row_of]
    user_ids = sorted({event.user for event in known})
    number = {user: place for place, user in enumerate(user_ids)}
    owners = np.array([number[event.user] for event in known], dtype=np.int64)
    times = np.array([event.seconds for event in known], dtype=np.float64)
    order = np.lexsort((np.where(np.isnan(times), -np.inf, times), owners))
    starts = np.searchsorted(owners[order], np.arange(len(user_ids) + 1))
    return Histories(
        tuple(item_ids),
        tuple(user_ids),
        starts.astype(np.int64),
        np.array([row_of[event.item] for event in known], dtype=np.int64)[order],
        np.array([event.strength for event in known], dtype=np.float32)[order],
        times[order],
    )
