"""What a list for a user needs of the database, read at one moment by one statement.

Statements are made once: making and compiling them took longer than running them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine, bindparam, select, true

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
        change = select(counters.c.value).where(counters.c.name == f"catalogue:{tenant}")
        running = select(experiments.c.id).where(
            experiments.c.tenant == tenant, experiments.c.state == "running"
        )
        moment = select(
            change.scalar_subquery().label("change"), running.exists().label("running")
        ).subquery("moment")
        newest = (
            select(event.item_id, event.strength, event.at, event.type, event.session, event.seq)
            .where(*theirs)
            .order_by(event.at.desc(), event.seq.desc())
            .limit(bindparam("limit"))
            .subquery("newest")
        )
        story = newest.c
        self._moment = (
            select(moment, story.item_id, story.strength, story.at, story.type, story.session)
            .select_from(moment.outerjoin(newest, true()))  # one row where there is no event
            .order_by(story.at, story.seq)
        )
        self._bought = select(event.item_id).where(*theirs, event.type == "purchase").distinct()

    def user(self, user: str, limit: int) -> UserMoment:
        """The moment of a user, with at most ``limit`` events."""
        with reading(self._engine) as connection:
            rows = connection.execute(self._moment, {"user": user, "limit": limit}).all()
            change, running = rows[0][:2]
            history = _history([tuple(row[2:]) for row in rows if row.item_id is not None])
            if len(history) < limit:  # that was all of them
                pairs = zip(history.item_ids, history.types, strict=True)
                bought = frozenset(item for item, type in pairs if type == "purchase")
            else:
                bought = frozenset(connection.scalars(self._bought, {"user": user}))
        return UserMoment(int(change or 0), history, bought, bool(running))


def _history(rows: Sequence[Sequence[Any]]) -> StoredHistory:
    items, strengths, times, types, sessions = zip(*rows, strict=True) if rows else ((),) * 5
    return StoredHistory(
        item_ids=tuple(items),
        strengths=np.array(strengths, dtype=np.float32),
        times=np.array([at.timestamp() for at in times], dtype=np.float64),
        types=tuple(types),
        sessions=tuple(sessions),
    )
