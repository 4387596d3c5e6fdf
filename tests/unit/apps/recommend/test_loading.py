"""What becomes of a source's rows, on a database in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from apps.recommend.loading import ROWS_AT_ONCE, LoadedEvents, LoadedItems, load_events, load_items
from shared.catalogue import BehaviourEvent, CatalogueItem
from shared.errors import EmptyData
from shared.records import Reject
from shared.storage.engine import open_database

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def engine() -> Iterator[Engine]:
    opened = open_database("sqlite://")
    yield opened
    opened.dispose()


def item(number: int, text: str = "") -> CatalogueItem:
    return CatalogueItem(f"i{number}", f"Item {number}", text)


def event(number: int, user: str = "ann", at: datetime | None = None) -> BehaviourEvent:
    return BehaviourEvent(f"e{number}", user, f"i{number}", "view", at)


def test_items_go_in_by_portions_and_rejects_are_told(engine: Engine) -> None:
    store, rejected, committed = ItemStore(engine, "default"), list[Reject](), list[int]()
    rows = [
        item(-1),
        Reject(2, "the title is blank", {"id": "x"}),
        item(-2, "a\x00b"),
        *(item(number) for number in range(ROWS_AT_ONCE)),
    ]
    done = load_items(store, rows, NOW, rejected=rejected.append, committed=committed.append)
    assert done == LoadedItems(ROWS_AT_ONCE + 1, 0, 0, 2)
    assert committed == [ROWS_AT_ONCE, 1]
    assert [fault.reason for fault in rejected] == [
        "the title is blank",
        "a text holds a NUL character",
    ]
    assert store.count() == ROWS_AT_ONCE + 1
    again = [item(-1, "other words"), item(0)]
    done = load_items(store, again, NOW, rejected=rejected.append, committed=committed.append)
    assert done == LoadedItems(0, 1, 1, 0)


def test_portions_that_were_committed_stay_when_the_source_breaks(engine: Engine) -> None:
    def broken() -> Iterator[BehaviourEvent]:
        yield from (event(number, at=NOW) for number in range(ROWS_AT_ONCE + 5))
        raise OSError("the disk is gone")

    store, committed = EventStore(engine, "default"), list[int]()
    with pytest.raises(OSError):
        load_events(store, broken(), NOW, rejected=lambda _: None, committed=committed.append)
    assert committed == [ROWS_AT_ONCE]
    assert store.count() == ROWS_AT_ONCE
    whole = [event(number, at=NOW) for number in range(ROWS_AT_ONCE + 5)]
    done = load_events(store, whole, NOW, rejected=lambda _: None, committed=committed.append)
    assert done == LoadedEvents(5, ROWS_AT_ONCE, ROWS_AT_ONCE + 5, 0)


def test_events_without_times_keep_their_order_over_portions(engine: Engine) -> None:
    store = EventStore(engine, "default")
    rows = [event(number) for number in range(ROWS_AT_ONCE + 3)]
    load_events(store, rows, NOW, rejected=lambda _: None, committed=lambda _: None)
    history = store.history("ann", 10_000)
    assert history.item_ids == tuple(row.item for row in rows)
    assert history.times[-1] == NOW.timestamp()
    assert set(history.times[1:] - history.times[:-1]) == {1.0}


def test_a_load_that_broke_off_is_run_again_later(engine: Engine) -> None:
    store = EventStore(engine, "default")
    rows = [event(number) for number in range(20)]
    kept = {"rejected": lambda _: None, "committed": lambda _: None}
    load_events(store, rows[:12], NOW, **kept)
    done = load_events(store, rows, NOW + timedelta(seconds=2), **kept)
    assert (done.added, done.repeated) == (8, 12)
    assert store.history("ann").item_ids == tuple(row.item for row in rows)


def test_a_source_without_a_usable_row_is_an_error(engine: Engine) -> None:
    faults = [Reject(2, "the user is blank", {}), Reject(3, "the item is blank", {})]
    kept = {"rejected": lambda _: None, "committed": lambda _: None}
    with pytest.raises(EmptyData, match="none of its 2 rows can be used; on line 2 the user"):
        load_events(EventStore(engine, "default"), faults, NOW, **kept)
    with pytest.raises(EmptyData, match="no rows"):
        load_items(ItemStore(engine, "default"), [], NOW, **kept)
