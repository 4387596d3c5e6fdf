from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2
import pytest

from data_connectors.feed_fetching import (
    Busy,
    Failed,
    FeedFetcher,
    Fetched,
    FetchRequest,
    Gone,
    NotModified,
)
from shared.web.addresses import AddressPolicy

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://news.example/feed"

Headers = Sequence[tuple[str | bytes, str | bytes]]


@dataclass
class Clock:
    """A clock that moves when one sleeps, and by ``step`` at each look."""

    now: float = 100.0
    step: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@dataclass
class Answer:
    """What a server answers, its body still to be read."""

    status: int
    body: bytes = b""
    headers: Headers = ()


@dataclass
class Web:
    """Answers by URL, and the requests that came."""

    answers: dict[str, Answer | Exception]
    requests: list[httpx2.Request] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers[str(request.url)]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status, headers=answer.headers, content=iter([answer.body]))

    def fetcher(self, **options: float) -> FeedFetcher:
        client = httpx2.Client(transport=httpx2.MockTransport(self), trust_env=False)
        return FeedFetcher(
            client,
            AddressPolicy(),
            sleep=self.clock.sleep,
            monotonic=self.clock.monotonic,
            **options,  # type: ignore[arg-type]
        )

    def fetch(self, url: str = URL, **validators: str) -> object:
        return self.fetcher().fetch(FetchRequest(url, **validators), NOW)


def redirect(status: int, target: str) -> Answer:
    return Answer(status, headers=[("Location", target)])


def test_a_document_with_all_that_is_to_be_remembered() -> None:
    web = Web({URL: Answer(200, b"<rss/>", [
        ("ETag", '"a"'), ("Last-Modified", "yesterday, about noon"), ("Content-Type", "text/xml"),
        ("Cache-Control", "max-age=600"), ("Age", "100"), ("X-Feed", "1"),
    ])})  # fmt: skip
    outcome = web.fetch()
    assert isinstance(outcome, Fetched)
    assert (outcome.content, outcome.etag) == (b"<rss/>", '"a"')
    assert outcome.last_modified == "yesterday, about noon"
    assert (outcome.url, outcome.moved_to, outcome.fresh_for) == (URL, None, 500.0)
    assert (outcome.content_type, outcome.headers["x-feed"]) == ("text/xml", "1")
    sent = web.requests[0].headers
    assert sent["accept-encoding"] == "gzip, deflate, br"
    assert "application/rss+xml" in sent["accept"]
    assert "if-none-match" not in sent
    assert "if-modified-since" not in sent


def test_validators_go_back_byte_for_byte() -> None:
    wild = b'W/"caf\xe9, \xff" '
    web = Web({URL: Answer(200, b"x", [(b"ETag", wild.strip())])})
    outcome = web.fetch()
    assert isinstance(outcome, Fetched)
    assert outcome.etag
    web.fetch(etag=outcome.etag, last_modified="an hour ago")
    raw = {name.lower(): value for name, value in web.requests[1].headers.raw}
    assert raw[b"if-none-match"] == wild.strip()
    assert raw[b"if-modified-since"] == b"an hour ago"


def test_not_modified_keeps_the_validators_unless_it_brings_new_ones() -> None:
    web = Web({URL: Answer(304, headers=[("Expires", "Sun, 01 Mar 2026 13:00:00 GMT")])})
    assert web.fetch(etag='"a"', last_modified="b") == NotModified('"a"', "b", 3600.0, None)
    web.answers[URL] = Answer(304, headers=[("ETag", '"n"'), ("Last-Modified", "m")])
    assert web.fetch(etag='"a"', last_modified="b") == NotModified('"n"', "m", None, None)


def test_not_modified_to_an_unconditional_request_is_a_failure() -> None:
    outcome = Web({URL: Answer(304)}).fetch()
    assert isinstance(outcome, Failed)
    assert outcome.status == 304


def test_gone_busy_and_failed() -> None:
    web = Web({URL: Answer(410)})
    assert web.fetch() == Gone()
    for status in (429, 503):
        web.answers[URL] = Answer(status, headers=[("Retry-After", "90")])
        assert web.fetch() == Busy(status, 90.0)
        web.answers[URL] = Answer(status)
        assert web.fetch() == Busy(status, None)
    for status in (204, 206, 400, 401, 403, 404, 418, 500, 502):
        web.answers[URL] = Answer(status)
        outcome = web.fetch()
        assert isinstance(outcome, Failed)
        assert outcome.status == status
        assert str(status) in outcome.reason


A, B, C = "https://a.example/f", "https://b.example/f", "https://c.example/f"
FOUND = Answer(200, b"<rss/>")


@pytest.mark.parametrize(
    ("first", "second", "moved_to"),
    [(301, 301, C), (308, 301, C), (308, 308, C), (301, 302, None), (302, 301, None),
     (307, 303, None)],
)  # fmt: skip
def test_a_move_is_remembered_when_every_step_was_permanent(
    first: int, second: int, moved_to: str | None
) -> None:
    web = Web({A: redirect(first, B), B: redirect(second, C), C: FOUND})
    outcome = web.fetch(A)
    assert isinstance(outcome, Fetched)
    assert outcome.url == C
    assert outcome.moved_to == moved_to


def test_conditions_and_moves_hold_over_redirects() -> None:
    web = Web({A: redirect(308, "//b.example/f#x"), B: Answer(304)})
    assert web.fetch(A, etag='"e"') == NotModified('"e"', None, None, B)
    assert [request.headers["if-none-match"] for request in web.requests] == ['"e"', '"e"']


def test_a_move_from_https_to_http_is_followed_and_not_remembered() -> None:
    plain = "http://a.example/f"
    outcome = Web({A: redirect(301, plain), plain: FOUND}).fetch(A)
    assert isinstance(outcome, Fetched)
    assert (outcome.url, outcome.moved_to) == (plain, None)
    back = Web({plain: redirect(301, A), A: FOUND}).fetch(plain)
    assert isinstance(back, Fetched)
    assert back.moved_to == A


def test_gone_behind_a_temporary_redirect_is_not_the_end_of_the_feed() -> None:
    assert Web({A: redirect(301, B), B: Answer(410)}).fetch(A) == Gone()
    assert isinstance(Web({A: redirect(302, B), B: Answer(410)}).fetch(A), Failed)


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1/", "http://169.254.169.254/latest/", "http://[::1]/", "http://localhost/",
     "file:///etc/passwd", "ftp://news.example/", "http://ann:pw@news.example/", "gopher://x/"],
)  # fmt: skip
def test_a_redirect_to_where_nobody_may_go_is_refused(target: str) -> None:
    web = Web({URL: redirect(302, target)})
    outcome = web.fetch()
    assert isinstance(outcome, Failed)
    assert outcome.refused
    assert len(web.requests) == 1


@pytest.mark.parametrize("target", ["", "http://a.example:port/", "http://\x00/"])
def test_a_redirect_that_makes_no_sense_is_a_failure(target: str) -> None:
    assert isinstance(Web({URL: redirect(302, target)}).fetch(), Failed)


def test_redirects_are_bounded_and_circles_are_seen() -> None:
    web = Web({f"https://a.example/{n}": redirect(302, f"/{n + 1}") for n in range(20)})
    outcome = web.fetch("https://a.example/0")
    assert isinstance(outcome, Failed)
    assert "more than 5 redirects" in outcome.reason
    assert len(web.requests) == 6
    circle = Web({A: redirect(302, B), B: redirect(302, A)}).fetch(A)
    assert isinstance(circle, Failed)
    assert "circle" in circle.reason


@pytest.mark.parametrize(
    "error",
    [httpx2.ConnectError("no route"), httpx2.ReadTimeout("slow"), httpx2.RemoteProtocolError("?"),
     httpx2.ReadError("reset"), OSError("broken"), UnicodeError("label too long")],
)  # fmt: skip
def test_what_goes_wrong_on_the_way_is_a_value(error: Exception) -> None:
    outcome = Web({URL: error}).fetch()
    assert isinstance(outcome, Failed)
    assert not outcome.refused
    assert str(error) in outcome.reason


def test_an_address_that_may_not_be_called_is_not_called() -> None:
    web = Web({})
    outcome = web.fetch("http://10.0.0.1/feed")
    assert isinstance(outcome, Failed)
    assert outcome.refused
    assert web.requests == []


def test_calls_to_one_host_are_spaced_and_others_go_at_once() -> None:
    other = "https://other.example/feed"
    web = Web({URL: FOUND, URL + "2": FOUND, other: FOUND})
    fetcher = web.fetcher(per_host_seconds=2.0)
    for url in (URL, other, URL + "2", URL):
        fetcher.fetch(FetchRequest(url), NOW)
    assert web.clock.slept == [2.0, 2.0]
    web.clock.now += 60
    fetcher.fetch(FetchRequest(URL), NOW)
    assert len(web.clock.slept) == 2


def test_the_time_between_calls_does_not_count_and_that_of_redirects_does() -> None:
    web = Web({f"https://a.example/{n}": redirect(302, f"/{n + 1}") for n in range(3)})
    web.answers["https://a.example/3"] = FOUND
    patient = web.fetcher(per_host_seconds=60.0, total_timeout=5.0)
    assert isinstance(patient.fetch(FetchRequest("https://a.example/0"), NOW), Fetched)
    web.clock.step = 2.0
    outcome = web.fetcher(total_timeout=5.0).fetch(FetchRequest("https://a.example/0"), NOW)
    assert isinstance(outcome, Failed)
    assert len(web.requests) < 8


def test_a_body_is_read_up_to_its_bound() -> None:
    web = Web({URL: Answer(200, b"x" * 1_000)})
    assert isinstance(web.fetcher(max_bytes=1_000).fetch(FetchRequest(URL), NOW), Fetched)
    outcome = web.fetcher(max_bytes=999).fetch(FetchRequest(URL), NOW)
    assert isinstance(outcome, Failed)
    assert "more than 999 bytes" in outcome.reason
