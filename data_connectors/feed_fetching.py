"""One poll of one feed over HTTP, as a polite reader does it: every answer becomes a value."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx2

from data_connectors.content_decoding import ACCEPTED_ENCODINGS, BrokenContent, decoded
from data_connectors.http_caching import fresh_for, retry_after
from shared.errors import AddressRefused
from shared.web.addresses import AddressPolicy

ACCEPTED_TYPES = (
    "application/atom+xml, application/rss+xml, application/rdf+xml;q=0.9,"
    " application/xml;q=0.8, text/xml;q=0.8, */*;q=0.3"
)
_PERMANENT = frozenset({301, 308})
_TEMPORARY = frozenset({302, 303, 307})
_BUSY = frozenset({429, 503})
_MOST_HOSTS = 10_000


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to ask for. The validators are those of the last answer, byte for byte."""

    url: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document. ``content`` is decompressed, ``url`` is where it was found in the end.

    ``etag`` and ``last_modified`` are to be sent with the next request. ``moved_to`` is the new
    address when every redirect on the way was permanent. ``fresh_for`` is in seconds, None when
    the server does not say; it is never more than a day. ``headers`` have lower-case names.
    """

    content: bytes
    etag: str | None
    last_modified: str | None
    url: str
    moved_to: str | None
    fresh_for: float | None
    content_type: str | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NotModified:
    """304: nothing new. The fields are as in Fetched."""

    etag: str | None
    last_modified: str | None
    fresh_for: float | None
    moved_to: str | None


@dataclass(frozen=True, slots=True)
class Gone:
    """410: the feed is no more, and the server says that it will not come back."""


@dataclass(frozen=True, slots=True)
class Busy:
    """429 or 503. ``retry_after`` in seconds, at most a day; None when the server does not say."""

    status: int
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Failed:
    """No document came. ``refused`` says that an address was not called at all."""

    reason: str
    status: int | None = None
    refused: bool = False


FetchOutcome = Fetched | NotModified | Gone | Busy | Failed


class FeedFetcher:
    """Fetches feeds; may be called by several threads.

    ``client`` is a guarded client (``shared.web.client``): it checks each address once more when
    it connects, and keeps the time of a call. ``per_host_seconds`` is the least time between two
    calls to one host; ``total_timeout`` bounds a poll with its redirects, in seconds, the waiting
    between calls not counted. ``max_bytes`` bounds a body, as it comes and decompressed.
    """

    def __init__(
        self,
        client: httpx2.Client,
        policy: AddressPolicy,
        *,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        per_host_seconds: float = 1.0,
        total_timeout: float = 30.0,
        max_bytes: int = 15 * 2**20,
        max_redirects: int = 5,
    ) -> None:
        self._client = client
        self._policy = policy
        self._sleep = sleep
        self._monotonic = monotonic
        self._per_host = per_host_seconds
        self._total = total_timeout
        self._max_bytes = max_bytes
        self._max_redirects = max_redirects
        self._next_call: dict[str, float] = {}
        self._lock = threading.Lock()

    def fetch(self, request: FetchRequest, now: datetime) -> FetchOutcome:
        """Ask once, follow redirects, and say what came of it. Never raises for a server's deeds.

        A conditional GET (RFC 9110, section 13) where the request has validators.
        """
        url, permanent, spent = request.url, True, 0.0
        seen: set[str] = set()
        while True:
            if url in seen:
                return Failed(f"the redirects go in a circle, back to {url}")
            if len(seen) > self._max_redirects:
                return Failed(f"more than {self._max_redirects} redirects, the last to {url}")
            seen.add(url)
            moved_to = url if permanent and url != request.url else None
            try:
                self._policy.check_url(url)
                self._wait_for_turn(url)
                started = self._monotonic()
                outcome = self._ask(request, url, moved_to, started + self._total - spent, now)
            except AddressRefused as error:
                return Failed(error.message, refused=True)
            except httpx2.TimeoutException as error:
                return Failed(f"{url} took too long: {error}")
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
                return Failed(f"{url} could not be fetched: {str(error) or type(error).__name__}")
            except BrokenContent as error:
                return Failed(f"{url} cannot be read: {error}", status=200)
            if not isinstance(outcome, _Redirect):
                return outcome
            spent += self._monotonic() - started
            permanent = permanent and outcome.permanent and _no_downgrade(url, outcome.url)
            url = outcome.url

    def _wait_for_turn(self, url: str) -> None:
        """Wait until the host may be called again, and take the turn."""
        host = httpx2.URL(url).host
        with self._lock:
            now = self._monotonic()
            turn = max(self._next_call.get(host, now), now)
            if len(self._next_call) >= _MOST_HOSTS:
                self._next_call = {h: at for h, at in self._next_call.items() if at > now}
            self._next_call[host] = turn + self._per_host
        if turn > now:
            self._sleep(turn - now)

    def _ask(
        self, request: FetchRequest, url: str, moved_to: str | None, deadline: float, now: datetime
    ) -> FetchOutcome | _Redirect:
        """One call, its body read where it is wanted."""
        left = deadline - self._monotonic()
        if left <= 0:
            return Failed(f"{url} was not asked: the redirects before it took {self._total:g} s")
        with self._client.stream(
            "GET", url, headers=_headers(request), extensions={"total_timeout": left}
        ) as response:
            status, headers = response.status_code, _lower(response.headers)
            fresh = fresh_for(headers, now)
            etag = _raw(response, b"etag")
            last_modified = _raw(response, b"last-modified")
            if status in _PERMANENT or status in _TEMPORARY:
                return _redirect(url, status, headers)
            if status == 304:
                if not (request.etag or request.last_modified):
                    return Failed(f"{url} answered 304 to a request without conditions", 304)
                return NotModified(
                    etag or request.etag, last_modified or request.last_modified, fresh, moved_to
                )
            if status == 410 and (moved_to or url == request.url):
                return Gone()
            if status in _BUSY:
                return Busy(status, retry_after(headers, now))
            if status not in (200, 203):
                return Failed(f"{url} answered {status} {response.reason_phrase}".strip(), status)
            content = self._body(response, url, deadline)
            if isinstance(content, Failed):
                return content
            return Fetched(
                content, etag, last_modified, url, moved_to, fresh, headers.get("content-type"),
                headers,
            )  # fmt: skip

    def _body(self, response: httpx2.Response, url: str, deadline: float) -> bytes | Failed:
        """The decompressed body, or why it was not read to its end."""
        body = bytearray()
        announced = response.headers.get("content-length", "")
        try:
            if announced.isdecimal() and float(announced) > self._max_bytes:
                raise _TooLarge
            wire = self._watched(response.iter_raw(), deadline)
            for piece in decoded(wire, response.headers.get("content-encoding", "")):
                body += piece
                if len(body) > self._max_bytes:
                    raise _TooLarge
        except _TooLarge:
            return Failed(f"{url} sends more than {self._max_bytes:,} bytes", response.status_code)
        return bytes(body)

    def _watched(self, chunks: Iterable[bytes], deadline: float) -> Iterator[bytes]:
        """The chunks as they come, as long as there is time and not too many of them."""
        count = 0
        for chunk in chunks:
            count += len(chunk)
            if count > self._max_bytes:
                raise _TooLarge
            if self._monotonic() > deadline:
                raise httpx2.ReadTimeout(f"not whole after {self._total:g} seconds")
            yield chunk


class _TooLarge(Exception):
    """The body has more bytes than are read."""


@dataclass(frozen=True, slots=True)
class _Redirect:
    url: str
    permanent: bool


def _headers(request: FetchRequest) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"Accept", ACCEPTED_TYPES.encode()),
        (b"Accept-Encoding", ACCEPTED_ENCODINGS.encode()),
    ]
    if request.etag:
        headers.append((b"If-None-Match", request.etag.encode("latin-1")))
    if request.last_modified:
        headers.append((b"If-Modified-Since", request.last_modified.encode("latin-1")))
    return headers


def _raw(response: httpx2.Response, name: bytes) -> str | None:
    """The first header of that name, its bytes as Latin-1, so that they can be sent back as is."""
    for key, value in response.headers.raw:
        if key.lower() == name:
            return value.decode("latin-1") or None
    return None


def _lower(headers: httpx2.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _redirect(url: str, status: int, headers: Mapping[str, str]) -> _Redirect | Failed:
    location = headers.get("location", "").strip()
    if not location:
        return Failed(f"{url} answered {status} without saying where to", status)
    target = httpx2.URL(url).join(location).copy_with(fragment=None)
    return _Redirect(str(target), status in _PERMANENT)


def _no_downgrade(url: str, target: str) -> bool:
    """A move from https to http is followed, and never remembered."""
    return not (url.lower().startswith("https:") and not target.lower().startswith("https:"))
