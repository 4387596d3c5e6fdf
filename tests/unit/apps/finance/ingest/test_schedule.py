"""When a feed is polled next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from apps.finance.ingest.schedule import LONGEST_WAIT, FeedChange, after_poll, back_off, is_due
from apps.finance.records import Feed
from data_connectors.feed_fetching import Busy, Failed, FetchOutcome, Gone, NotModified
from tests.fakes.feed_fetcher import fetched

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 24 * 3600
FEED = Feed(
    id="f" * 32,
    url="http://feed.example/rss",
    name="Ledger",
    state="active",
    notice=None,
    etag='W/"old"',
    last_modified="yesterday",
    interval_seconds=900,
    update_after=None,
    last_polled_at=None,
    last_success_at=NOW - timedelta(hours=1),
    last_error="it failed",
    failures=3,
    added_by="Ann",
    created_at=NOW,
)


def waited(change: FeedChange) -> float:
    return (change.update_after - NOW).total_seconds()


def after(outcome: FetchOutcome, **options: object) -> FeedChange:
    return after_poll(FEED, outcome, NOW, 0.0, **options)


def test_a_document_clears_errors_and_brings_its_own_validators() -> None:
    change = after(fetched(b"", etag='"new"'))
    assert (change.etag, change.last_modified) == ('"new"', None)
    assert (change.failures, change.last_error, change.last_success_at) == (0, None, NOW)
    assert waited(change) == 900


def test_not_modified_keeps_the_validators_that_it_does_not_repeat() -> None:
    change = after(NotModified('"new"', None, None, None))
    assert (change.etag, change.last_modified) == ('"new"', "yesterday")
    assert change.failures == 0


@pytest.mark.parametrize(
    ("fresh_for", "document", "seconds"),
    [(None, None, 900), (60, 60, 900), (1800, None, 1800), (None, 7200, 7200), (1e9, None, DAY)],
)
def test_the_longest_wish_decides_up_to_a_day(
    fresh_for: float | None, document: int | None, seconds: int
) -> None:
    assert waited(after(fetched(b"", fresh_for=fresh_for), document_interval=document)) == seconds


def test_what_is_no_feed_is_a_failure_that_keeps_no_validators_of_it() -> None:
    change = after(fetched(b"<html>", etag='"page"'), document_error="this is no feed")
    assert (change.etag, change.failures, change.last_error) == ('W/"old"', 4, "this is no feed")
    assert change.last_success_at == FEED.last_success_at


def test_failures_wait_twice_as_long_each_up_to_a_day_for_ever() -> None:
    feed, waits = replace(FEED, failures=0), []
    for _ in range(12):
        change = after_poll(feed, Failed("no"), NOW, 0.0)
        waits.append(waited(change))
        feed = replace(feed, failures=change.failures)
    assert waits[:3] == [1800, 3600, 7200]
    assert waits[-1] == DAY
    assert back_off(60, 10_000_000) == DAY


def test_a_busy_server_is_left_alone_as_long_as_it_asks_and_no_shorter_than_back_off() -> None:
    assert waited(after(Busy(429, 40_000.0))) == 40_000
    assert waited(after(Busy(503, None))) == back_off(900, 4)
    assert waited(after(Busy(503, 1.0))) == back_off(900, 4)


def test_gone_mutes_with_a_notice() -> None:
    change = after(Gone())
    assert change.mute_notice is not None
    assert "410" in change.mute_notice
    assert after(Failed("no")).mute_notice is None


def test_a_permanent_move_is_remembered() -> None:
    assert after(fetched(b"", moved_to="http://new.example/")).url == "http://new.example/"
    assert after(NotModified(None, None, None, "http://new.example/")).url == "http://new.example/"
    assert after(fetched(b"")).url == FEED.url


def test_chance_makes_a_wait_longer_and_never_shorter() -> None:
    waits = [waited(after_poll(FEED, fetched(b""), NOW, jitter)) for jitter in (0.0, 0.5, 0.99)]
    assert waits[0] == 900
    assert waits == sorted(waits)
    assert 900 < waits[2] < 1000
    longest = after_poll(FEED, Busy(429, 1e9), NOW, 0.999)
    assert longest.update_after < NOW + LONGEST_WAIT


def test_a_feed_is_due_at_its_time_and_when_the_clock_ran_ahead() -> None:
    assert is_due(None, NOW)
    assert is_due(NOW, NOW)
    assert not is_due(NOW + timedelta(seconds=1), NOW)
    assert not is_due(NOW + LONGEST_WAIT, NOW)
    assert is_due(NOW + timedelta(days=365), NOW)
