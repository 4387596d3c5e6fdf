"""Events in both databases: written once, read in their order."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from apps.recommend.events.store import EventCounts, EventStore
from apps.recommend.items.store import ItemStore
from shared.catalogue import BehaviourEvent, CatalogueItem
from shared.errors import DataError, SettingsError
from shared.histories import histories_of

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def store(engine: Engine) -> EventStore:
    ItemStore(engine, "default").upsert([CatalogueItem(id, id) for id in "abc"], NOW)
    return EventStore(engine, "default")


def event(
    id: str, item: str = "a", *, user: str = "ann", minutes: float = 0, **values: Any
) -> BehaviourEvent:
    at = NOW - timedelta(minutes=minutes)
    return BehaviourEvent(id, user, item, values.pop("type", "view"), at, **values)


def test_a_history_tells_what_was_done(store: EventStore) -> None:
    events = [
        event("1", "a", minutes=3, session="s-1"),
        event("2", "b", minutes=2, type="purchase", weight=2.0),
        event("3", "c", minutes=1, type="rating", value=1.0),
        event("4", "a", type="dislike"),
    ]
    assert store.add(events, NOW) == EventCounts(4, 0, 0)
    history = store.history("ann")
    assert history.item_ids == ("a", "b", "c", "a")
    assert history.strengths.tolist() == [1.0, 6.0, -2.0, -2.0]
    assert history.strengths.dtype == np.float32
    assert history.times.tolist() == [one.seconds for one in events]
    assert history.types == ("view", "purchase", "rating", "dislike")
    assert history.sessions == ("s-1", None, None, None)
    assert store.bought("ann") == {"b"}
    assert len(store.history("ben")) == 0
    assert store.bought("ben") == frozenset()


def test_an_id_that_is_known_changes_nothing(store: EventStore) -> None:
    store.add([event("1", "a", minutes=5)], NOW)
    other = event("1", "b", user="ben", type="purchase")
    assert store.add([other, event("2", "b"), event("2", "c")], NOW) == EventCounts(1, 2, 0)
    assert store.history("ann").item_ids == ("a", "b")
    assert len(store.history("ben")) == 0
    assert store.count() == 2


def test_late_events_land_where_they_belong(store: EventStore) -> None:
    store.add([event("1", "a", minutes=1), event("2", "b", minutes=9)], NOW)
    store.add([event("3", "c", minutes=5)], NOW)
    assert store.history("ann").item_ids == ("b", "c", "a")
    assert store.history("ann", limit=2).item_ids == ("c", "a")


def test_events_of_one_time_stay_in_the_order_of_arrival(store: EventStore) -> None:
    store.add([event("9", "a"), event("5", "b")], NOW)
    store.add([event("1", "c"), event("0", "a")], NOW)
    assert store.history("ann").item_ids == ("a", "b", "c", "a")
    assert store.history("ann", limit=3).item_ids == ("b", "c", "a")


def test_an_event_without_a_time_is_refused_but_in_its_order(store: EventStore) -> None:
    bare = [BehaviourEvent(id, "ann", item, "view", None) for id, item in ("1a", "2b", "3c")]
    with pytest.raises(DataError, match="'1' has no time"):
        store.add([event("0"), *bare], NOW)
    assert store.count() == 0
    assert store.add_ordered(bare, NOW) == EventCounts(3, 0, 0)
    more = [BehaviourEvent(id, "ann", item, "view", None) for id, item in ("4b", "5a")]
    store.add_ordered(more, NOW + timedelta(milliseconds=100))
    assert store.history("ann").item_ids == ("a", "b", "c", "b", "a")
    assert store.newest(["ann", "ben"]) == {"ann": NOW + timedelta(milliseconds=100)}


def test_events_of_items_that_come_later_are_kept(store: EventStore, engine: Engine) -> None:
    counts = store.add([event("1", "a"), event("2", "new"), event("3", "new")], NOW)
    assert counts == EventCounts(3, 0, 2)
    items = ItemStore(engine, "default")
    items.upsert([CatalogueItem("new", "New")], NOW)
    items.delete(["a"], NOW)
    assert store.add([event("4", "new"), event("5", "a")], NOW) == EventCounts(2, 0, 1)


def test_a_session_is_read_whoever_it_belongs_to(store: EventStore) -> None:
    store.add(
        [
            event("1", "b", user="anonymous-7", session="s", minutes=2),
            event("2", "a", user="ann", session="s", minutes=1),
            event("3", "c", user="ann"),
        ],
        NOW,
    )
    assert store.session_history("s").item_ids == ("b", "a")
    assert len(store.session_history("t")) == 0


def test_users_by_their_events(store: EventStore) -> None:
    for user, count in (("ann", 1), ("anna", 3), ("ben", 2), ("Ann", 1)):
        store.add([event(f"{user}-{n}", user=user) for n in range(count)], NOW)
    assert store.users(10) == [("anna", 3), ("ben", 2), ("Ann", 1), ("ann", 1)]
    assert store.users(10, "ann") == [("anna", 3), ("ann", 1)]
    assert store.users(1) == [("anna", 3)]
    assert store.users(10, "%") == []


def test_recent_counts_leave_out_what_is_old_or_speaks_against(store: EventStore) -> None:
    store.add(
        [
            event("1", "a", minutes=10),
            event("2", "a", minutes=11),
            event("3", "b"),
            event("4", "b", user="ben", type="purchase"),
            event("5", "c", type="dislike"),
            event("6", "elsewhere"),
        ],
        NOW,
    )
    counts = store.recent_counts(["c", "b", "a"], NOW - timedelta(minutes=10))
    assert counts.tolist() == [0, 2, 1]
    assert counts.dtype == np.int64


def test_histories_equal_those_of_the_events_themselves(store: EventStore) -> None:
    randomness = np.random.default_rng(3)
    events = [
        event(
            f"{number}",
            str(randomness.choice(list("abcx"))),
            user=f"u{randomness.integers(9)}",
            minutes=int(randomness.integers(20)),
            type=str(randomness.choice(["view", "cart", "dislike"])),
        )
        for number in range(400)
    ]
    store.add(events[:150], NOW)
    store.add(events[150:], NOW)
    wanted, found = histories_of(events, "cab"), store.histories("cab")
    assert (found.item_ids, found.user_ids) == (wanted.item_ids, wanted.user_ids)
    for name in ("starts", "rows", "strengths", "times"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
        assert getattr(found, name).dtype == getattr(wanted, name).dtype, name


def test_histories_of_nothing(store: EventStore) -> None:
    assert (store.histories([]).users, store.histories("ab").items) == (0, 2)
    store.add([event("1", "elsewhere")], NOW)
    assert store.histories("ab").users == 0


def test_generated_behaviour_is_recognised(store: EventStore) -> None:
    store.add([event("synthetic", "a"), event("synthetid-1", "a")], NOW)
    assert not store.any_synthetic()
    store.add([event("synthetic-1", "a")], NOW)
    assert store.any_synthetic()


def test_a_tenant_sees_nothing_of_another(engine: Engine, store: EventStore) -> None:
    other = EventStore(engine, "shop-b")
    store.add([event("1", "a", type="purchase", session="s")], NOW)
    assert other.add([event("1", "b", session="s")], NOW) == EventCounts(1, 0, 1)
    assert other.history("ann").item_ids == other.session_history("s").item_ids == ("b",)
    assert other.bought("ann") == frozenset()
    assert (other.count(), other.users()) == (1, [("ann", 1)])
    assert other.histories("ab").rows.tolist() == [1]
    assert other.recent_counts("ab", NOW).tolist() == [0, 1]
    with pytest.raises(SettingsError):
        EventStore(engine, "shop_b")


def test_one_event_sent_by_many_at_once_is_one(engine: Engine, store: EventStore) -> None:
    """Four clients send the same events in their own order, as retries do."""
    counts: list[EventCounts] = []
    failures: list[BaseException] = []

    def send(seed: int) -> None:
        mine = EventStore(engine, "default")
        order = np.random.default_rng(seed).permutation(40)
        try:
            for start in range(0, 40, 5):
                ids = order[start : start + 5]
                counts.append(mine.add([event(f"{id}", "a") for id in ids], NOW))
                known = set(mine.history("ann").item_ids)
                assert known == {"a"}
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(one.added for one in counts) == store.count() == 40
    assert sum(one.repeated for one in counts) == 120
