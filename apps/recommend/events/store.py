"""What a tenant's users did, in the database: written once, read by user, session and item.

An event whose id is known changes nothing, so that whoever is not sure whether an event arrived
sends it again. Events stand in the order of their times whenever they arrive; those of one time in
the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, func, select

from apps.recommend.events.columns import histories_of_columns
from apps.recommend.events.ordering import stamp_in_order
from shared.catalogue import BehaviourEvent
from shared.errors import DataError
from shared.histories import Histories, Times, Weights
from shared.storage.counters import add_to_counter, counter_value
from shared.storage.engine import reading
from shared.storage.inserting import insert_into
from shared.storage.recommend_tables import behaviour_events, catalogue_items
from shared.tenants import check_tenant

_AT_ONCE = 1_000
"""Ids of one query: both databases limit the parameters of a statement."""

_READ_AT_ONCE = 10_000
"""Rows that are held at a time while all events are read."""

SYNTHETIC = "synthetic-"
"""How ids of generated events begin."""

_C = behaviour_events.c
_STORY = (_C.item_id, _C.strength, _C.at, _C.type, _C.session)


@dataclass(frozen=True, slots=True)
class EventCounts:
    """What became of events. ``repeated`` ones were known by their id; ``unknown_items`` counts
    those, new or not, whose item is not in the catalogue: they count once it is."""

    added: int
    repeated: int
    unknown_items: int


@dataclass(frozen=True, eq=False, slots=True)
class StoredHistory:
    """Events in order, oldest first: the items, how much each says for its item (float32 [h]),
    when (float64 [h], seconds since 1970 UTC), the types and the sessions."""

    item_ids: tuple[str, ...]
    strengths: Weights
    times: Times
    types: tuple[str, ...]
    sessions: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.item_ids)


class EventStore:
    """The events of one tenant; safe between threads and processes.

    Raises SettingsError for a name that no tenant can have.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self.engine = engine
        self.tenant = check_tenant(tenant)
        self._counter = f"events:{tenant}"
        self._mine = _C.tenant == tenant

    def add(self, events: Sequence[BehaviourEvent], now: datetime) -> EventCounts:
        """Write events in one transaction: once this returns, they are there.

        Raises DataError, and writes none, where an event has no time.
        """
        for event in events:
            if event.at is None:
                raise DataError(
                    f"event {event.id!r} has no time: give it one, or add events in their order",
                    event=event.id,
                )
        if not events:
            return EventCounts(0, 0, 0)
        with self.engine.begin() as connection:
            return self._write(connection, events, now)

    def add_ordered(self, events: Sequence[BehaviourEvent], now: datetime) -> EventCounts:
        """Write events that stand in their order: those without a time get one that ends at
        ``now`` and comes after what is stored of their users."""
        if not events:
            return EventCounts(0, 0, 0)
        users = sorted({event.user for event in events if event.at is None})
        with self.engine.begin() as connection:
            add_to_counter(connection, self._counter, 0)  # nobody writes in between
            newest = self._newest_times(connection, users)
            return self._write(connection, stamp_in_order(events, now, newest), now)

    def newest(self, users: Iterable[str]) -> dict[str, datetime]:
        """When each of the users did something last; those who are not known are left out."""
        with reading(self.engine) as connection:
            return self._newest_times(connection, sorted(set(users)))

    def history(self, user: str, limit: int = 200) -> StoredHistory:
        """The newest events of a user, at most ``limit``; empty for one who is not known."""
        return self._newest(_C.user_id == user, limit)

    def session_history(self, session: str, limit: int = 200) -> StoredHistory:
        """The newest events of a session, at most ``limit``; empty for one that is not known."""
        return self._newest(_C.session == session, limit)

    def bought(self, user: str) -> frozenset[str]:
        """The items that a user bought at any time."""
        query = select(_C.item_id).where(self._mine, _C.user_id == user, _C.type == "purchase")
        with reading(self.engine) as connection:
            return frozenset(connection.scalars(query))  # DISTINCT would walk all items' events

    def any_synthetic(self) -> bool:
        """Whether behaviour of a generator is among the events, which is shown wherever it is."""
        query = select(_C.id).where(self._mine, _begins_with(_C.id, SYNTHETIC)).limit(1)
        with reading(self.engine) as connection:
            return connection.execute(query).first() is not None

    def count(self) -> int:
        """How many events there are."""
        query = select(func.count()).select_from(behaviour_events).where(self._mine)
        with reading(self.engine) as connection:
            return int(connection.scalar(query) or 0)

    def users(self, limit: int = 50, prefix: str = "") -> list[tuple[str, int]]:
        """Users whose id begins with ``prefix``, and how many events they have; most first."""
        events = func.count().label("events")
        query = select(_C.user_id, events).where(self._mine).group_by(_C.user_id)
        if prefix:
            query = query.where(_begins_with(_C.user_id, prefix))
        with reading(self.engine) as connection:
            rows = connection.execute(query.order_by(events.desc(), _C.user_id).limit(limit))
            return [(row.user_id, row.events) for row in rows]

    def histories(self, item_ids: Sequence[str]) -> Histories:
        """All events of the items as arrays over ``item_ids``; users in alphabetical order."""
        query = select(_C.user_id, _C.item_id, _C.strength, _C.at, _C.seq).where(self._mine)
        with reading(self.engine) as connection:
            rows = connection.execution_options(yield_per=_READ_AT_ONCE).execute(query)
            return histories_of_columns(rows.partitions(), item_ids)

    def recent_counts(self, item_ids: Sequence[str], since: datetime) -> NDArray[np.int64]:
        """How many events from ``since`` on speak for each item, int64 [items]."""
        query = (
            select(_C.item_id, func.count())
            .where(self._mine, _C.at >= since, _C.strength > 0)
            .group_by(_C.item_id)
        )
        with reading(self.engine) as connection:
            counts = {row[0]: row[1] for row in connection.execute(query)}
        return np.array([counts.get(item, 0) for item in item_ids], dtype=np.int64)

    def _newest(self, whose: ColumnElement[bool], limit: int) -> StoredHistory:
        query: Select[Any] = select(*_STORY).where(self._mine, whose)
        with reading(self.engine) as connection:
            rows = connection.execute(
                query.order_by(_C.at.desc(), _C.seq.desc()).limit(limit)
            ).all()
        return _as_history(rows[::-1])

    def _newest_times(self, connection: Connection, users: Sequence[str]) -> dict[str, datetime]:
        query = select(_C.user_id, func.max(_C.at)).where(self._mine).group_by(_C.user_id)
        return {
            user: at
            for ids in _portions(users)
            for user, at in connection.execute(query.where(_C.user_id.in_(ids)))
        }

    def _write(
        self, connection: Connection, events: Sequence[BehaviourEvent], now: datetime
    ) -> EventCounts:
        add_to_counter(connection, self._counter, len(events))
        first = counter_value(connection, self._counter) - len(events)
        rows = [
            {
                "tenant": self.tenant,
                "id": event.id,
                "user_id": event.user,
                "item_id": event.item,
                "type": event.type,
                "at": event.at,
                "session": event.session,
                "value": event.value,
                "weight": event.weight,
                "strength": event.strength,
                "seq": first + place,
                "received_at": now,
            }
            for place, event in enumerate(events, 1)
        ]
        insert = insert_into(connection, behaviour_events)
        keep_first = insert.on_conflict_do_nothing(index_elements=["tenant", "id"])
        counted = {"preserve_rowcount": True}  # else PostgreSQL's driver does not tell
        added = connection.execute(keep_first, rows, execution_options=counted).rowcount
        known = self._catalogued(connection, sorted({event.item for event in events}))
        unknown = sum(event.item not in known for event in events)
        return EventCounts(added, len(events) - added, unknown)

    def _catalogued(self, connection: Connection, item_ids: list[str]) -> set[str]:
        items = catalogue_items.c
        query = select(items.id).where(items.tenant == self.tenant, items.deleted.is_(False))
        return {
            id
            for portion in _portions(item_ids)
            for id in connection.scalars(query.where(items.id.in_(portion)))
        }


def _begins_with(id: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """A range that an index serves; ids are in the order of their code points."""
    return id.between(prefix, prefix + "\U0010ffff")


def _as_history(rows: Sequence[Row[Any]]) -> StoredHistory:
    return StoredHistory(
        tuple(row.item_id for row in rows),
        np.array([row.strength for row in rows], dtype=np.float32),
        np.array([row.at.timestamp() for row in rows], dtype=np.float64),
        tuple(row.type for row in rows),
        tuple(row.session for row in rows),
    )


def _portions(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
