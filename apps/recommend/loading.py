"""Taking items and events into a tenant's stores, a portion in a transaction.

What was committed stays, whatever happens to the process after it; loading the same source again
writes what is missing and nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TypeVar

from sqlalchemy import Engine

from apps.recommend.events.ordering import stamp_in_order
from apps.recommend.events.store import EventStore
from apps.recommend.items.rows import as_row
from apps.recommend.items.store import ItemStore
from shared.catalogue import BehaviourData, BehaviourEvent, CatalogueItem
from shared.errors import EmptyData
from shared.records import Reject

ROWS_AT_ONCE = 5_000
"""Rows of a transaction."""

Record = TypeVar("Record", CatalogueItem, BehaviourEvent)
Rejected = Callable[[Reject], None]
Committed = Callable[[int], None]
"""Told how many rows a transaction held, once it has ended."""


@dataclass(frozen=True, slots=True)
class LoadedItems:
    """What became of the rows of a source of items."""

    added: int
    changed: int
    unchanged: int
    rejected: int


@dataclass(frozen=True, slots=True)
class LoadedEvents:
    """What became of the rows of a source of events; ``unknown_items`` as in ``EventCounts``."""

    added: int
    repeated: int
    unknown_items: int
    rejected: int


def load_items(
    store: ItemStore,
    outcomes: Iterable[CatalogueItem | Reject],
    now: datetime,
    *,
    rejected: Rejected,
    committed: Committed,
) -> LoadedItems:
    """Write every item; of several with one id the last stays. Raises EmptyData for none."""
    added = changed = unchanged = 0
    usable = _Usable(outcomes, rejected)
    for portion in _portions(_storable(usable, usable.reject)):
        counts = store.upsert(portion, now)
        added, changed = added + counts.added, changed + counts.changed
        unchanged += counts.unchanged
        committed(len(portion))
    if added + changed + unchanged == 0:
        raise usable.empty()
    return LoadedItems(added, changed, unchanged, usable.rejects)


def load_events(
    store: EventStore,
    outcomes: Iterable[BehaviourEvent | Reject],
    now: datetime,
    *,
    rejected: Rejected,
    committed: Committed,
) -> LoadedEvents:
    """Write every event. Raises EmptyData for none.

    Where the first has no time, all are read before the first is written: they get times in their
    order that end at ``now``.
    """
    added = repeated = unknown = 0
    usable = _Usable(outcomes, rejected)
    events: Iterable[BehaviourEvent] = usable
    first = next(iter(usable), None)
    if first is not None:
        events = chain([first], usable)
        if first.at is None:
            whole = list(events)
            newest = store.newest({event.user for event in whole})
            events = stamp_in_order(whole, now, newest)
    for portion in _portions(events):
        counts = store.add_ordered(portion, now)
        added, repeated = added + counts.added, repeated + counts.repeated
        unknown += counts.unknown_items
        committed(len(portion))
    if added + repeated == 0:
        raise usable.empty()
    return LoadedEvents(added, repeated, unknown, usable.rejects)


def load_data(
    engine: Engine, tenant: str, data: BehaviourData, now: datetime
) -> tuple[LoadedItems, LoadedEvents]:
    """Write a data set that was read, into a tenant's catalogue."""

    def nothing(_: object) -> None:
        """Rows of a data set that was read are none that can be rejected."""

    items, events = ItemStore(engine, tenant), EventStore(engine, tenant)
    return (
        load_items(items, iter(data.items), now, rejected=nothing, committed=nothing),
        load_events(events, iter(data.events), now, rejected=nothing, committed=nothing),
    )


class _Usable(Iterator[Record]):
    """The records among outcomes; rejects are passed on and counted as they come by."""

    def __init__(self, outcomes: Iterable[Record | Reject], rejected: Rejected) -> None:
        self.rejects = 0
        self._outcomes: Iterator[Record | Reject] = iter(outcomes)
        self._rejected = rejected
        self._first: Reject | None = None

    def __next__(self) -> Record:
        for outcome in self._outcomes:
            if not isinstance(outcome, Reject):
                return outcome
            self.reject(outcome)
        raise StopIteration

    def reject(self, fault: Reject) -> None:
        self.rejects += 1
        self._first = self._first or fault
        self._rejected(fault)

    def empty(self) -> EmptyData:
        if self._first is None:
            return EmptyData("there are no rows in it", rejects=0)
        return EmptyData(
            f"none of its {self.rejects} rows can be used; on line {self._first.line}"
            f" {self._first.reason}",
            rejects=self.rejects,
        )


def _storable(items: Iterable[CatalogueItem], rejected: Rejected) -> Iterator[CatalogueItem]:
    for place, item in enumerate(items, start=1):
        try:
            as_row(item)
        except ValueError as error:
            rejected(Reject(place, str(error), {"id": item.id}))
        else:
            yield item


def _portions(records: Iterable[Record]) -> Iterator[list[Record]]:
    portion: list[Record] = []
    for record in records:
        portion.append(record)
        if len(portion) == ROWS_AT_ONCE:
            yield portion
            portion = []
    if portion:
        yield portion
