"""A fetcher without a network: ``answers`` by address, ``requests`` as they came."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime

from data_connectors.feed_fetching import Failed, Fetched, FetchOutcome, FetchRequest


class CannedFetcher:
    """Gives each address its answer, an Exception to be raised, or "not found"."""

    def __init__(self, answers: Mapping[str, FetchOutcome | Exception] | None = None) -> None:
        self.answers: dict[str, FetchOutcome | Exception] = dict(answers or {})
        self.requests: list[FetchRequest] = []
        self._lock = threading.Lock()

    def fetch(self, request: FetchRequest, now: datetime) -> FetchOutcome:
        with self._lock:
            self.requests.append(request)
        answer = self.answers.get(request.url, Failed("there is no such page", 404))
        if isinstance(answer, Exception):
            raise answer
        return answer


def fetched(
    content: bytes,
    *,
    etag: str | None = None,
    moved_to: str | None = None,
    fresh_for: float | None = None,
) -> Fetched:
    """A document as a server would have given it."""
    return Fetched(
        content=content,
        etag=etag,
        last_modified=None,
        url=moved_to or "http://feed.example/rss",
        moved_to=moved_to,
        fresh_for=fresh_for,
        content_type="application/rss+xml",
        headers={},
    )


def rss(items: Sequence[tuple[str, str, str]], *, extra: str = "") -> bytes:
    """A feed of (guid, title, summary); empty guids are left out, ``extra`` goes into each item."""
    entries = "".join(
        "<item>"
        + (f'<guid isPermaLink="false">{guid}</guid>' if guid else "")
        + f"<title>{title}</title><description>{summary}</description>{extra}</item>"
        for guid, title, summary in items
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>'
        f"<title>Ledger</title><link>http://feed.example/</link>{entries}</channel></rss>"
    ).encode()
