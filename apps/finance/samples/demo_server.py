"""The sample feeds on a loopback address, as if their newest story had just come out.

Every time in the feeds moves by the same span, so that the newest lies ``NEWEST_AGE`` before
``now``. ``as_of`` hides what would not be out yet, so that successive polls see ten days go by:
entries appear, and some change under the same identity. Answers carry ETag and Last-Modified and
honour conditional requests (RFC 9110, sections 8.8 and 13.1).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from shared.errors import SettingsError

FEEDS_FOLDER = Path(__file__).parent / "feeds"

NEWEST_AGE = timedelta(minutes=5)

_TIME = re.compile(r"<(pubDate|lastBuildDate|dc:date|published|updated)>([^<]*)</\1>")
_ENTRY = re.compile(r"[ \t]*<(item|entry)[ >].*?</\1>\n", re.DOTALL)
_IDENTITY = re.compile(r"<(guid|id|link)\b[^>]*>([^<]+)</\1>")


@dataclass(frozen=True, slots=True)
class SampleFeed:
    """One feed file, its times as they were written."""

    name: str
    text: str

    def times(self) -> list[datetime]:
        """Every time in the file that can be read, aware."""
        found = (_read_time(match.group(2)) for match in _TIME.finditer(self.text))
        return [time for time in found if time is not None]

    def as_of(self, now: datetime | None, shift: timedelta) -> tuple[str, datetime | None]:
        """The document as it stood at ``now``, times moved, and when it last changed.

        Of entries with one identity the newest version that is out is kept. An entry without a
        time that can be read comes out with the entry below it, which is older. None: all is out.
        """
        entries = list(_ENTRY.finditer(self.text))
        hidden: set[int] = set()
        newest: datetime | None = None
        out = False
        for number in reversed(range(len(entries))):
            time = _entry_time(entries[number].group())
            if time is not None:
                out = now is None or time + shift <= now
                if out and (newest is None or time + shift > newest):
                    newest = time + shift
            if not out:
                hidden.add(number)
        seen: set[str] = set()
        for number, entry in enumerate(entries):
            identity = _IDENTITY.search(entry.group())
            if number in hidden or identity is None:
                continue
            if identity.group(2) in seen:
                hidden.add(number)
            seen.add(identity.group(2))
        kept, position = [], 0
        for number, entry in enumerate(entries):
            kept.append(self.text[position : entry.start()])
            if number not in hidden:
                kept.append(entry.group())
            position = entry.end()
        kept.append(self.text[position:])
        limit = newest or now
        return _shifted("".join(kept), shift, limit), newest


class DemoServer:
    """The running server. Set ``as_of`` between polls to let the days go by."""

    def __init__(
        self, feeds: Mapping[str, SampleFeed], now: datetime, as_of: datetime | None, port: int
    ) -> None:
        if now.tzinfo is None or (as_of is not None and as_of.tzinfo is None):
            raise ValueError("now and as_of need a time zone")
        newest = max(time for feed in feeds.values() for time in feed.times())
        self.now = now.astimezone(UTC).replace(microsecond=0)
        self.shift = self.now - NEWEST_AGE - newest
        self.as_of = as_of
        self.requests: list[tuple[str, int]] = []
        """(path, status) of each answer so far."""
        self._feeds = dict(feeds)
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_for(self))
        except OSError as error:
            raise SettingsError(
                f"the sample feeds cannot be served on port {port} of 127.0.0.1: {error}. "
                "Give another port, or 0 for a free one",
                port=port,
            ) from error
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """Where the server listens on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def urls(self) -> dict[str, str]:
        """The address of each feed by its name."""
        return {name: f"http://127.0.0.1:{self.port}/{name}.xml" for name in sorted(self._feeds)}

    @property
    def first(self) -> datetime:
        """When the oldest entry came out, in moved time."""
        times = (time for feed in self._feeds.values() for time in feed.times())
        return min(times).astimezone(UTC) + self.shift

    def moments(self, step: timedelta = timedelta(days=1)) -> list[datetime]:
        """Times to set ``as_of`` to in turn, ``step`` apart after the first entry; last is now."""
        if step <= timedelta():
            raise ValueError(f"step is {step}, not positive")
        found = []
        at = self.first + step
        while at < self.now:
            found.append(at)
            at += step
        return [*found, self.now]

    def document(self, name: str) -> tuple[bytes, datetime | None] | None:
        """A feed's bytes and the time of its last change at ``as_of``; None for an unknown one."""
        feed = self._feeds.get(name)
        if feed is None:
            return None
        text, changed = feed.as_of(self.as_of, self.shift)
        return text.encode(), changed

    def start(self) -> None:
        """Answer requests in a thread of its own."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serve(
    port: int = 0,
    *,
    now: datetime,
    as_of: datetime | None = None,
    folder: Path = FEEDS_FOLDER,
) -> Iterator[DemoServer]:
    """Serve the feeds of a folder on 127.0.0.1 while the block runs; port 0 takes a free one.

    ``as_of`` is the time at which the first poll shall be: later stories are not out yet.
    """
    feeds = {
        path.stem: SampleFeed(path.stem, path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.xml"))
    }
    server = DemoServer(feeds, now, as_of, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _handler_for(server: DemoServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers GET for one feed a path."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = server.document(self.path.partition("?")[0].strip("/").removesuffix(".xml"))
            if found is None:
                self._answer(HTTPStatus.NOT_FOUND, b"no such feed\n", {})
                return
            content, changed = found
            etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
            headers = {"ETag": etag}
            if changed is not None:
                headers["Last-Modified"] = format_datetime(changed.astimezone(UTC), usegmt=True)
            if self._is_known(etag, changed):
                self._answer(HTTPStatus.NOT_MODIFIED, b"", headers)
                return
            headers["Content-Type"] = "application/xml; charset=utf-8"
            self._answer(HTTPStatus.OK, content, headers)

        def _is_known(self, etag: str, changed: datetime | None) -> bool:
            """Whether the client has this already; If-None-Match wins over the date."""
            tags = self.headers.get("If-None-Match")
            if tags is not None:
                return etag in (tag.strip().removeprefix("W/") for tag in tags.split(","))
            since = _read_time(self.headers.get("If-Modified-Since", ""))
            return since is not None and changed is not None and changed <= since

        def _answer(self, status: HTTPStatus, content: bytes, headers: Mapping[str, str]) -> None:
            server.requests.append((self.path, int(status)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status is not HTTPStatus.NOT_MODIFIED:
                self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent: ``requests`` holds what was asked."""

    return Handler


def _entry_time(entry: str) -> datetime | None:
    """When this version of an entry came out: the latest of its times."""
    times = [_read_time(match.group(2)) for match in _TIME.finditer(entry)]
    return max((time for time in times if time is not None), default=None)


def _shifted(text: str, shift: timedelta, limit: datetime | None) -> str:
    """The text with every readable time moved, none of them beyond ``limit``."""

    def moved(match: re.Match[str]) -> str:
        time = _read_time(match.group(2))
        if time is None:
            return match.group()
        later = time + shift
        if limit is not None:
            later = min(later, limit.astimezone(later.tzinfo))
        written = later.isoformat() if match.group(2)[:4].isdigit() else format_datetime(later)
        return f"<{match.group(1)}>{written}</{match.group(1)}>"

    return _TIME.sub(moved, text)


def _read_time(written: str) -> datetime | None:
    """A time as RFC 5322 or RFC 3339 writes it; None for anything else or without a zone."""
    try:
        time = datetime.fromisoformat(written)
    except ValueError:
        try:
            time = parsedate_to_datetime(written)
        except (ValueError, TypeError):
            return None
    return time if time.tzinfo is not None else None
