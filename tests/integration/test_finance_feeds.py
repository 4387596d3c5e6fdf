"""Feeds in the database, on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from apps.finance.feeds import FeedStore
from apps.finance.ingest.schedule import after_poll
from data_connectors.feed_fetching import Failed, Gone, NotModified
from shared.errors import Conflict, DataError, NotFound
from shared.storage.audit import read_audit
from tests.fakes.feed_fetcher import fetched

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://ledger.example/rss"


def test_a_feed_is_added_once_and_is_due_at_once(engine: Engine) -> None:
    store = FeedStore(engine)
    feed = store.add(f" {URL} ", None, None, "Ann", NOW)
    assert (feed.url, feed.name, feed.interval_seconds) == (URL, "ledger.example", 900)
    assert store.due(NOW) == [feed] == store.list()
    assert store.get(URL) == store.get(feed.id) == feed
    with pytest.raises(Conflict, match="already"):
        store.add(URL, "Other", 60, "Bo", NOW)


@pytest.mark.parametrize("interval", [59, 86_401, -1, 0])
def test_an_interval_that_is_no_interval_is_refused(sqlite_engine: Engine, interval: int) -> None:
    with pytest.raises(DataError, match="60 to 86400"):
        FeedStore(sqlite_engine).add(URL, None, interval, "Ann", NOW)


def test_a_feed_that_comes_back_is_the_same(sqlite_engine: Engine) -> None:
    store = FeedStore(sqlite_engine)
    feed = store.add(URL, None, None, "Ann", NOW)
    store.remove(feed.id, "Ann", NOW)
    with pytest.raises(NotFound):
        store.get(feed.id)
    for act in (store.mute, store.unmute, store.remove):
        with pytest.raises(NotFound):
            act(feed.id, "Ann", NOW)
    assert store.add(URL, None, None, "Ann", NOW).id == feed.id


def test_muted_feeds_are_not_due_and_unmuting_starts_anew(sqlite_engine: Engine) -> None:
    store = FeedStore(sqlite_engine)
    feed = store.add(URL, None, None, "Ann", NOW)
    with sqlite_engine.begin() as connection:
        store.apply(connection, after_poll(feed, Failed("no"), NOW, 0.0))
    assert store.mute(feed.id, "Ann", NOW).state == "muted"
    assert store.due(NOW + timedelta(days=9)) == []
    back = store.unmute(feed.id, "Ann", NOW)
    assert (back.state, back.failures, back.update_after) == ("active", 0, None)
    assert [one.id for one in store.due(NOW)] == [feed.id]


def test_due_feeds_come_in_the_order_of_their_waiting(engine: Engine) -> None:
    store = FeedStore(engine)
    names = ["soon", "long ago", "never polled", "just now", "clock ran ahead"]
    feeds = {name: store.add(f"https://{n}.example/", name, None, "Ann", NOW)
             for n, name in enumerate(names)}  # fmt: skip
    times = {"soon": 1, "long ago": -3600, "just now": 0, "clock ran ahead": 365 * 86400}
    with engine.begin() as connection:
        for name, seconds in times.items():
            change = after_poll(feeds[name], NotModified(None, None, None, None), NOW, 0.0)
            at = NOW + timedelta(seconds=seconds)
            store.apply(connection, replace(change, update_after=at))
    due = [feed.name for feed in store.due(NOW)]
    assert due == ["never polled", "long ago", "just now", "clock ran ahead"]


def test_a_poll_changes_the_row_and_keeps_validators_byte_for_byte(engine: Engine) -> None:
    store = FeedStore(engine)
    feed = store.add(URL, None, None, "Ann", NOW)
    change = after_poll(feed, fetched(b"", etag='W/"\u00e9 odd "'), NOW, 0.0)
    with engine.begin() as connection:
        assert store.apply(connection, change)
    after = store.get(feed.id)
    assert after.etag == 'W/"\u00e9 odd "'
    assert (after.last_polled_at, after.last_success_at) == (NOW, NOW)
    assert store.due(NOW) == []


def test_a_persons_mute_outlives_the_poll_that_was_under_way(sqlite_engine: Engine) -> None:
    store = FeedStore(sqlite_engine)
    feed = store.add(URL, None, None, "Ann", NOW)
    store.mute(feed.id, "Ann", NOW)
    with sqlite_engine.begin() as connection:
        store.apply(connection, after_poll(feed, fetched(b""), NOW, 0.0))
    assert store.get(feed.id).state == "muted"


def test_gone_mutes_and_says_why(sqlite_engine: Engine) -> None:
    store = FeedStore(sqlite_engine)
    feed = store.add(URL, None, None, "Ann", NOW)
    with sqlite_engine.begin() as connection:
        store.apply(connection, after_poll(feed, Gone(), NOW, 0.0))
    gone = store.get(feed.id)
    assert gone.state == "muted"
    assert "410" in (gone.notice or "")


def test_a_move_is_followed_unless_that_address_is_a_feed_already(engine: Engine) -> None:
    store = FeedStore(engine)
    first = store.add(URL, None, None, "Ann", NOW)
    second = store.add("https://wire.example/", "Wire", None, "Ann", NOW)
    with engine.begin() as connection:
        change = after_poll(first, fetched(b"", moved_to="https://new.example/"), NOW, 0.0)
        store.apply(connection, change)
        clash = after_poll(second, fetched(b"", moved_to="https://new.example/"), NOW, 0.0)
        store.apply(connection, clash)
    assert store.get(first.id).url == "https://new.example/"
    muted = store.get(second.id)
    assert (muted.url, muted.state) == ("https://wire.example/", "muted")
    assert "new.example" in (muted.notice or "")
    told = [(line.actor, line.action, line.details["feed"]) for line in read_audit(engine)[:2]]
    assert told == [
        ("the watcher", "feed_muted", second.id),
        ("the watcher", "feed_moved", first.id),
    ]


def test_a_poll_of_a_feed_that_was_removed_changes_nothing(sqlite_engine: Engine) -> None:
    store = FeedStore(sqlite_engine)
    feed = store.add(URL, None, None, "Ann", NOW)
    store.remove(feed.id, "Ann", NOW)
    with sqlite_engine.begin() as connection:
        assert not store.apply(connection, after_poll(feed, fetched(b""), NOW, 0.0))
