"""What a list for a user needs of the database, read at one moment in one transaction.

The statements are made once: making and compiling them took longer than running them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine, bindparam, select

from apps.recommend.events.store import StoredHistory
from shared.storage.engine import reading
from shared.storage.finance_tables import counters
from shared.storage.recommend_tables import behaviour_events, experiments
from shared.tenants import check_tenant


@dataclass(frozen=True, eq=False, slots=True)
class UserMoment:
    """The catalogue's change number, a user's newest events (oldest first) and what they bought,
    and whether an experiment runs: all of one moment."""

    change: int
    history: StoredHistory
    bought: frozenset[str]
    experimenting: bool


class RequestReader:
    """Reads what requests of one tenant need; safe between threads."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._engine = engine
        check_tenant(tenant)
        event = behaviour_events.c
        theirs = (event.tenant == tenant, event.user_id == bindparam("user"))
        self._change = select(counters.c.value).where(counters.c.name == f"catalogue:{tenant}")
        self._history = (
            select(event.item_id, event.strength, event.at, event.type, event.session)
            .where(*theirs)
            .order_by(event.at.desc(), event.seq.desc())
            .limit(bindparam("limit"))
        )
        self._bought = select(event.item_id).where(*theirs, event.type == "purchase").distinct()
        self._running = (
            select(experiments.c.id)
            .where(experiments.c.tenant == tenant, experiments.c.state == "running")
            .limit(1)
        )

    def user(self, user: str, limit: int) -> UserMoment:
        """The moment of a user, with at most ``limit`` events."""
        with reading(self._engine) as connection:
            change = connection.scalar(self._change)
            rows = connection.execute(self._history, {"user": user, "limit": limit}).all()
            if len(rows) < limit:  # that was all of them
                bought = frozenset(row.item_id for row in rows if row.type == "purchase")
            else:
                bought = frozenset(connection.scalars(self._bought, {"user": user}))
            running = connection.scalar(self._running)
        return UserMoment(
            int(change or 0),
            _history([tuple(row) for row in reversed(rows)]),
            bought,
            running is not None,
        )


def _history(rows: Sequence[Sequence[Any]]) -> StoredHistory:
    items, strengths, times, types, sessions = zip(*rows, strict=True) if rows else ((),) * 5
    return StoredHistory(
        item_ids=tuple(items),
        strengths=np.array(strengths, dtype=np.float32),
        times=np.array([at.timestamp() for at in times], dtype=np.float64),
        types=tuple(types),
        sessions=tuple(sessions),
    )
