"""What a list for a user needs of the database, read at one moment by one statement.

Statements are made once: making and compiling them took longer than running them. The history
comes as one value for the reason that ``shared.storage.json_rows`` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Engine, bindparam, select

from apps.recommend.events.store import StoredHistory
from shared.storage.engine import reading
from shared.storage.finance_tables import counters
from shared.storage.json_rows import JsonRows
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
        newest = (
            select(event.at, event.seq, event.item_id, event.strength, event.type, event.session)
            .where(*theirs)
            .order_by(event.at.desc(), event.seq.desc())
            .limit(bindparam("limit"))
            .subquery("newest")
        )
        story = select(JsonRows(*newest.c)).scalar_subquery()
        self._moment = select(change.scalar_subquery(), running.exists(), story)
        self._bought = select(event.item_id).where(*theirs, event.type == "purchase").distinct()

    def user(self, user: str, limit: int) -> UserMoment:
        """The moment of a user, with at most ``limit`` events."""
        with reading(self._engine) as connection:
            change, running, rows = connection.execute(
                self._moment, {"user": user, "limit": limit}
            ).one()
            history = _history(rows or ())  # of nothing PostgreSQL makes no list
            if len(history) < limit:  # that was all of them
                pairs = zip(history.item_ids, history.types, strict=True)
                bought = frozenset(item for item, type in pairs if type == "purchase")
            else:
                bought = frozenset(connection.scalars(self._bought, {"user": user}))
        return UserMoment(int(change or 0), history, bought, bool(running))


def _history(rows: Sequence[Sequence[Any]]) -> StoredHistory:
    told = sorted((_seconds(at), seq, *rest) for at, seq, *rest in rows)
    times, _, items, strengths, types, sessions = zip(*told, strict=True) if told else ((),) * 6
    return StoredHistory(
        item_ids=items,
        strengths=np.array(strengths, dtype=np.float32),
        times=np.array(times, dtype=np.float64),
        types=types,
        sessions=sessions,
    )


def _seconds(at: str) -> float:
    """Since 1970, of a time as a database tells it: with its zone, or UTC."""
    told = datetime.fromisoformat(at)
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
