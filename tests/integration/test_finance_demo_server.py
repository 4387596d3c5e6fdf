"""The server of the sample feeds, read by the real fetcher: validators, days in turn, near now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from apps.finance.samples.demo_server import NEWEST_AGE, DemoServer, serve
from data_connectors.feed_fetching import (
    Failed,
    FeedFetcher,
    Fetched,
    FetchOutcome,
    FetchRequest,
    NotModified,
)
from data_connectors.feed_parsing import FeedEntry, parse_feed
from shared.errors import SettingsError
from shared.web.addresses import AddressPolicy
from shared.web.client import guarded_client

pytestmark = pytest.mark.integration

NOW = datetime(2027, 5, 4, 9, 30, tzinfo=UTC)


@pytest.fixture
def fetcher() -> Iterator[FeedFetcher]:
    policy = AddressPolicy(("127.0.0.1",))
    with guarded_client(policy, user_agent="Triptych test") as client:
        yield FeedFetcher(
            client, policy, sleep=time.sleep, monotonic=time.monotonic, per_host_seconds=0.0
        )


def fetch(
    fetcher: FeedFetcher, url: str, etag: str | None = None, modified: str | None = None
) -> FetchOutcome:
    return fetcher.fetch(FetchRequest(url=url, etag=etag, last_modified=modified), NOW)


def entries(fetcher: FeedFetcher, server: DemoServer) -> dict[tuple[str, str], FeedEntry]:
    """All entries that are out, by feed and identity."""
    found = {}
    for name, url in server.urls.items():
        outcome = fetch(fetcher, url)
        assert isinstance(outcome, Fetched)
        for entry in parse_feed(outcome.content, url=url).entries:
            found[name, entry.guid or entry.link or entry.title] = entry
    return found


def test_the_newest_story_is_near_now(fetcher: FeedFetcher) -> None:
    with serve(now=NOW) as server:
        times = [entry.published_at for entry in entries(fetcher, server).values()]
    assert max(one for one in times if one is not None) == NOW - NEWEST_AGE


def test_validators_spare_the_second_poll(fetcher: FeedFetcher) -> None:
    with serve(now=NOW) as server:
        url = server.urls["meridian_wire"]
        first = fetch(fetcher, url)
        assert isinstance(first, Fetched)
        assert first.etag is not None
        assert first.last_modified is not None
        assert isinstance(fetch(fetcher, url, etag=first.etag), NotModified)
        assert isinstance(fetch(fetcher, url, modified=first.last_modified), NotModified)
        both = fetch(fetcher, url, etag='"other"', modified=first.last_modified)
        assert isinstance(both, Fetched)
        assert server.requests == [
            ("/meridian_wire.xml", status) for status in (200, 304, 304, 200)
        ]


def test_polls_see_the_days_go_by(fetcher: FeedFetcher) -> None:
    known: dict[tuple[str, str], FeedEntry] = {}
    new, changed = [], 0
    with serve(now=NOW, as_of=NOW - timedelta(days=30)) as server:
        assert entries(fetcher, server) == {}
        days = server.moments()
        for day in days:
            server.as_of = day
            current = entries(fetcher, server)
            assert set(current) >= set(known)
            assert all(
                one.published_at <= day for one in current.values() if one.published_at is not None
            )
            new.append(len(current) - len(known))
            changed += sum(
                (current[key].title, current[key].summary) != (old.title, old.summary)
                for key, old in known.items()
            )
            known = current
    assert len(days) == 10
    assert min(new) >= 20
    assert sum(new) >= 360
    assert changed >= 10


def test_a_feed_without_news_is_not_modified(fetcher: FeedFetcher) -> None:
    with serve(now=NOW, as_of=NOW - timedelta(days=3)) as server:
        url = server.urls["nordic_ledger"]
        first = fetch(fetcher, url)
        assert isinstance(first, Fetched)
        assert server.as_of is not None
        server.as_of += timedelta(seconds=1)
        assert isinstance(fetch(fetcher, url, etag=first.etag), NotModified)
        server.as_of += timedelta(days=1)
        assert isinstance(fetch(fetcher, url, etag=first.etag), Fetched)


def test_an_unknown_feed_is_not_found(fetcher: FeedFetcher) -> None:
    with serve(now=NOW) as server:
        outcome = fetch(fetcher, f"http://127.0.0.1:{server.port}/none.xml")
    assert isinstance(outcome, Failed)
    assert outcome.status == 404


def test_a_taken_port_is_refused_with_advice() -> None:
    with (
        serve(now=NOW) as server,
        pytest.raises(SettingsError, match="0 for a free one"),
        serve(server.port, now=NOW),
    ):
        pass


def test_times_need_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"), serve(now=datetime(2027, 5, 4)):  # noqa: DTZ001
        pass
