"""The real fetcher over real sockets, against a server that behaves badly on purpose."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from data_connectors.feed_fetching import (
    Busy,
    Failed,
    FeedFetcher,
    Fetched,
    FetchOutcome,
    FetchRequest,
    Gone,
    NotModified,
)
from data_connectors.feed_parsing import parse_feed
from shared.errors import NotAFeed
from shared.web.addresses import AddressPolicy
from shared.web.client import guarded_client, user_agent
from tests.fakes.misbehaving_server import (
    ETAG,
    FEED,
    LAST_MODIFIED,
    MisbehavingServer,
    misbehaving_server,
)
from tests.fakes.network import FakeNetwork, FakeResolver

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT = 2 * 2**20


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving_server() as running:
        yield running


class Poll:
    """Fetches a path of the server, which alone is allowed, within two seconds in all."""

    def __init__(self, server: MisbehavingServer) -> None:
        self.server = server
        self.policy = AddressPolicy((server.host,))

    def __call__(
        self, path: str, etag: str | None = None, last_modified: str | None = None
    ) -> FetchOutcome:
        with guarded_client(self.policy, user_agent=user_agent("tests")) as client:
            fetcher = FeedFetcher(
                client,
                self.policy,
                sleep=time.sleep,
                monotonic=time.monotonic,
                per_host_seconds=0.0,
                total_timeout=2.0,
                max_bytes=LIMIT,
            )
            request = FetchRequest(self.server.url + path, etag, last_modified)
            return fetcher.fetch(request, NOW)


@pytest.fixture
def poll(server: MisbehavingServer) -> Poll:
    return Poll(server)


def failure(outcome: FetchOutcome) -> Failed:
    assert isinstance(outcome, Failed)
    return outcome


def test_a_sound_feed_is_fetched_once_and_then_not_again(
    server: MisbehavingServer, poll: Poll
) -> None:
    outcome = poll("/feed")
    assert isinstance(outcome, Fetched)
    assert [entry.guid for entry in parse_feed(outcome.content).entries] == ["q1", "q2"]
    assert (outcome.last_modified, outcome.fresh_for) == (LAST_MODIFIED, 300.0)
    assert isinstance(poll("/feed", outcome.etag, outcome.last_modified), NotModified)
    first, second = (headers for _, headers in server.requests)
    assert first["user-agent"].startswith("Triptych/")
    assert second["if-none-match"].encode("latin-1") == ETAG.encode("latin-1")
    assert second["if-modified-since"] == LAST_MODIFIED


@pytest.mark.parametrize("path", ["/gzip", "/deflate", "/br"])
def test_compressed_feeds_are_read(poll: Poll, path: str) -> None:
    outcome = poll(path)
    assert isinstance(outcome, Fetched)
    assert outcome.content == FEED


@pytest.mark.parametrize("path", ["/slow-head", "/slow-body", "/silent"])
def test_a_server_that_takes_its_time_is_left(poll: Poll, path: str) -> None:
    started = time.monotonic()
    assert "too long" in failure(poll(path)).reason
    assert time.monotonic() - started < 10.0


@pytest.mark.parametrize(
    "path",
    ["/endless", "/endless-gzip-of-nothing", "/bomb/gzip", "/bomb/br", "/announced"],
)
def test_a_body_without_end_is_cut(poll: Poll, path: str) -> None:
    started = time.monotonic()
    assert f"more than {LIMIT:,} bytes" in failure(poll(path)).reason
    assert time.monotonic() - started < 10.0


@pytest.mark.parametrize(
    "path",
    ["/not-gzip", "/cut-gzip", "/cut", "/reset", "/reset-in-body", "/no-http", "/huge-head"],
)
def test_an_answer_that_is_broken_is_a_failure(poll: Poll, path: str) -> None:
    outcome = failure(poll(path))
    assert outcome.reason
    assert not outcome.refused


def test_redirects_end(server: MisbehavingServer, poll: Poll) -> None:
    assert "more than 5 redirects" in failure(poll("/loop")).reason
    assert len(server.requests) == 6
    assert "circle" in failure(poll("/circle")).reason
    assert failure(poll("/redirect-nowhere")).status == 302


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1/",
        "http://127.0.0.1:22/",
        "http://localhost/",
        "http://[::ffff:127.0.0.1]/",
        "http://0/",
        "http://2130706433/",
        "file:///etc/passwd",
    ],
)
def test_a_redirect_into_the_own_network_is_refused(
    server: MisbehavingServer, poll: Poll, target: str
) -> None:
    outcome = failure(poll(f"/redirect/302/{target}"))
    assert outcome.refused
    assert "not called" in outcome.reason
    assert len(server.requests) == 1


def test_this_machine_is_refused_where_nothing_is_allowed(server: MisbehavingServer) -> None:
    policy = AddressPolicy()
    with guarded_client(policy, user_agent="Test/1") as client:
        fetcher = FeedFetcher(client, policy, sleep=time.sleep, monotonic=time.monotonic)
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            assert failure(fetcher.fetch(FetchRequest(url + "/feed"), NOW)).refused
    assert server.requests == []


def test_a_name_that_is_rebound_between_check_and_call_is_never_followed(
    server: MisbehavingServer,
) -> None:
    """The name is public when the feed is added and at the first poll, then it is this machine."""
    host, _, port = server.host.partition(":")
    public = "93.184.215.14"
    resolver = FakeResolver([[public], ["127.0.0.1"]])
    network = FakeNetwork(real=(host, int(port)))
    policy = AddressPolicy()
    url = f"http://rebind.example:{port}/feed"
    policy.check_url(url)
    with guarded_client(policy, user_agent="T", resolve=resolver, network=network) as client:
        fetcher = FeedFetcher(
            client, policy, sleep=lambda _: None, monotonic=time.monotonic, per_host_seconds=0
        )
        assert isinstance(fetcher.fetch(FetchRequest(url), NOW), Fetched)
        outcome = failure(fetcher.fetch(FetchRequest(url), NOW))
    assert outcome.refused
    assert "127.0.0.1" in outcome.reason
    assert network.connected == [(public, int(port))]
    assert len(resolver.asked) == 2
    assert len(server.requests) == 1


def test_permanent_moves_are_remembered(server: MisbehavingServer, poll: Poll) -> None:
    for status in (301, 308):
        outcome = poll(f"/redirect/{status}//feed")
        assert isinstance(outcome, Fetched)
        assert outcome.moved_to == f"{server.url}/feed"
    for status in (302, 303, 307):
        outcome = poll(f"/redirect/{status}//feed")
        assert isinstance(outcome, Fetched)
        assert outcome.moved_to is None


def test_statuses_that_say_wait_or_stop(poll: Poll) -> None:
    assert poll("/status/429/120") == Busy(429, 120.0)
    assert poll("/status/503") == Busy(503, None)
    waits = poll("/status/503/Fri,%2031%20Dec%202100%2023:59:59%20GMT")
    assert waits == Busy(503, 86_400.0)
    assert poll("/status/429/Sun,%2001%20Mar%202020%2010:00:00%20GMT") == Busy(429, 0.0)
    assert poll("/status/410") == Gone()
    assert failure(poll("/status/500")).status == 500
    assert failure(poll("/status/404")).status == 404


def test_304_for_ever(poll: Poll) -> None:
    for _ in range(3):
        assert isinstance(poll("/always-304", '"always"'), NotModified)
    assert failure(poll("/always-304")).status == 304


def test_a_wrong_charset_does_not_spoil_the_text(poll: Poll) -> None:
    outcome = poll("/wrong-charset")
    assert isinstance(outcome, Fetched)
    parsed = parse_feed(outcome.content, content_type=outcome.content_type)
    assert parsed.entries[0].title == "Möwe Reederei lifts its outlook"


@pytest.mark.parametrize(("path", "reason"), [("/html", "HTML page"), ("/empty", "empty")])
def test_what_is_no_feed_is_reported_as_such(poll: Poll, path: str, reason: str) -> None:
    outcome = poll(path)
    assert isinstance(outcome, Fetched)
    with pytest.raises(NotAFeed, match=reason):
        parse_feed(outcome.content, url=outcome.url, content_type=outcome.content_type)


def test_nobody_listens(server: MisbehavingServer) -> None:
    with misbehaving_server() as stopped:
        pass
    assert "could not be fetched" in failure(Poll(stopped)("/feed")).reason
