"""From the feeds that are due to stored, scored stories: calls its parts in order.

fetch -> parse -> take in (``intake``) -> the feed's row for its next poll (``schedule``)

Documents are fetched by a few threads and taken in by the caller's, so that a slow server keeps
nobody waiting. A feed's validators are stored together with its stories: what was not stored is
fetched again.
"""

from __future__ import annotations

import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from sqlalchemy import Engine

from apps.finance.feeds import FeedStore
from apps.finance.ingest.counts import IngestCounts
from apps.finance.ingest.grouping import NearDuplicates
from apps.finance.ingest.intake import AfterStories, Intake, nothing_after
from apps.finance.ingest.planning import sightings
from apps.finance.ingest.rescoring import Rescoring
from apps.finance.ingest.schedule import FeedChange, after_poll
from apps.finance.records import Feed, StoryKind
from apps.finance.scoring.protocol import StoryScorer
from data_connectors.feed_fetching import (
    Failed,
    Fetched,
    FetchOutcome,
    FetchRequest,
    NotModified,
)
from data_connectors.feed_parsing import FeedEntry, ParsedFeed, parse_feed
from shared.errors import NotAFeed

log = logging.getLogger(__name__)

BATCH = 500
"""Entries that are stored in one transaction; a feed's document has rarely more."""

SCORED_AT_ONCE = 256
"""Waiting stories that are scored in one go."""

FETCHERS = 8
"""Documents that are fetched at once."""


class Fetcher(Protocol):
    """Fetches a document and never raises: ``data_connectors.feed_fetching.FeedFetcher``."""

    def fetch(self, request: FetchRequest, now: datetime) -> FetchOutcome:
        """What the server answered; safe to call from several threads."""
        ...


def always() -> bool:
    """Go on to the end."""
    return True


class Ingestion:
    """Takes in feeds, documents and posts.

    ``jitter`` gives numbers in [0, 1) that spread the polls. ``after_stories`` runs in the
    transaction of each document that brought something, ``after_round`` (the same, unless given)
    when ``after_time`` is called. ``rescoring`` is carried along for the watcher.
    """

    def __init__(
        self,
        engine: Engine,
        fetcher: Fetcher,
        scorer: StoryScorer,
        *,
        near: NearDuplicates | None = None,
        after_stories: AfterStories = nothing_after,
        after_round: AfterStories | None = None,
        jitter: Callable[[], float] = random.random,
        fetchers: int = FETCHERS,
        rescoring: Rescoring | None = None,
    ) -> None:
        self.rescoring = rescoring
        self.scorer = scorer
        self._engine = engine
        self._fetcher = fetcher
        self._feeds = FeedStore(engine)
        self._intake = Intake(engine, scorer, near=near, after_stories=after_stories)
        self._after_round = after_stories if after_round is None else after_round
        self._jitter = jitter
        self._fetchers = fetchers

    def ingest_due(self, now: datetime, *, keep_going: Callable[[], bool] = always) -> IngestCounts:
        """Poll every feed that is due, each once; asks ``keep_going`` before each document.

        Called again at the same ``now`` it finds nothing due. What one feed does stops no other.
        """
        total = IngestCounts()
        for feed, outcome in self._fetch_all(self._feeds.due(now), now, keep_going):
            try:
                total += self._take_outcome(feed, outcome, now)
            except Exception as error:
                log.exception("the document of feed %s (%s) was not stored", feed.id, feed.url)
                reason = f"its document could not be stored: {type(error).__name__}: {error}"
                self._apply(after_poll(feed, Failed(reason, None), now, self._jitter()))
                total += IngestCounts(polls=1, errors=1)
        return total

    def ingest_document(
        self,
        origin: str,
        feed: Feed | None,
        content: bytes,
        now: datetime,
        *,
        url: str = "",
        content_type: str | None = None,
        publisher: str | None = None,
    ) -> IngestCounts:
        """Take in a document as if it was read at ``now``, without any fetching.

        Its entries belong to ``feed`` where one is given. ``publisher`` is who speaks where
        neither an entry nor the feed says so. What is no feed counts as an error.
        """
        try:
            parsed = parse_feed(content, url=url, content_type=content_type)
        except NotAFeed as error:
            log.warning("%s: %s", url or origin, error)
            return IngestCounts(polls=1, errors=1)
        speaks = feed.name if feed else parsed.title or publisher or origin
        return IngestCounts(polls=1) + self._take_parsed(parsed, origin, speaks, feed, None, now)

    def ingest_entries(
        self,
        origin: str,
        publisher: str,
        entries: Iterable[FeedEntry],
        now: datetime,
        kind: StoryKind = "news",
        *,
        feed_id: str | None = None,
        change: FeedChange | None = None,
    ) -> IngestCounts:
        """Take in entries from anywhere; ``change`` is stored with the last of them."""
        seen, wordless = sightings(entries, publisher, now)
        total = IngestCounts(entries=wordless, rejected=wordless)
        starts = range(0, max(1, len(seen)), BATCH)
        for start in starts:
            total += self._intake.take(
                seen[start : start + BATCH],
                origin=origin,
                feed_id=feed_id,
                kind=kind,
                change=change if start == starts[-1] else None,
                now=now,
            )
        return total

    def score_waiting(self, now: datetime, *, keep_going: Callable[[], bool] = always) -> int:
        """Score the stories that were stored while no model was in use; how many there were."""
        total = 0
        while keep_going():
            scored = self._intake.score_waiting(now, SCORED_AT_ONCE)
            total += scored
            if scored < SCORED_AT_ONCE:
                break
        return total

    def after_time(self, now: datetime) -> None:
        """Run what follows on stories when there are none: silence changes an index, too."""
        with self._engine.begin() as connection:
            self._after_round(connection, now)

    def _take_outcome(self, feed: Feed, outcome: FetchOutcome, now: datetime) -> IngestCounts:
        jitter = self._jitter()
        if not isinstance(outcome, Fetched):
            self._apply(after_poll(feed, outcome, now, jitter))
            failed = not isinstance(outcome, NotModified)
            return IngestCounts(polls=1, errors=int(failed))
        try:
            parsed = parse_feed(outcome.content, url=outcome.url, content_type=outcome.content_type)
        except NotAFeed as error:
            self._apply(after_poll(feed, outcome, now, jitter, document_error=error.message))
            return IngestCounts(polls=1, errors=1)
        change = after_poll(feed, outcome, now, jitter, document_interval=parsed.interval_seconds)
        counts = self._take_parsed(parsed, origin_of(feed), feed.name, feed, change, now)
        return counts + IngestCounts(polls=1)

    def _take_parsed(
        self,
        parsed: ParsedFeed,
        origin: str,
        publisher: str,
        feed: Feed | None,
        change: FeedChange | None,
        now: datetime,
    ) -> IngestCounts:
        feed_id = feed.id if feed else None
        counts = self.ingest_entries(
            origin, publisher, parsed.entries, now, feed_id=feed_id, change=change
        )
        rejects = len(parsed.rejects)
        return replace(counts, entries=counts.entries + rejects, rejected=counts.rejected + rejects)

    def _apply(self, change: FeedChange) -> None:
        with self._engine.begin() as connection:
            self._feeds.apply(connection, change)

    def _fetch_all(
        self, due: Sequence[Feed], now: datetime, keep_going: Callable[[], bool]
    ) -> Iterator[tuple[Feed, FetchOutcome]]:
        """Feeds with what their servers answered, as they answer; a few are fetched ahead."""
        if not due:
            return
        queue = deque(spread_over_hosts(due))
        ahead: dict[Future[FetchOutcome], Feed] = {}
        pool = ThreadPoolExecutor(self._fetchers, thread_name_prefix="fetch")
        try:
            while (queue or ahead) and keep_going():
                while queue and len(ahead) < 2 * self._fetchers:
                    feed = queue.popleft()
                    ahead[pool.submit(self._fetch, feed, now)] = feed
                done, _ = wait(ahead, return_when=FIRST_COMPLETED)
                for future in [future for future in ahead if future in done]:
                    if not keep_going():
                        return
                    yield ahead.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, feed: Feed, now: datetime) -> FetchOutcome:
        request = FetchRequest(feed.url, feed.etag, feed.last_modified)
        try:
            return self._fetcher.fetch(request, now)
        except Exception as error:
            log.exception("fetching %s failed", feed.url)
            return Failed(f"fetching failed: {type(error).__name__}: {error}", None)


def spread_over_hosts(due: Sequence[Feed]) -> list[Feed]:
    """The first feed of each host, then the second of each: calls to one host are spaced out."""
    turns: Counter[str] = Counter()
    order: list[tuple[int, int]] = []
    for place, feed in enumerate(due):
        host = urlsplit(feed.url).netloc
        order.append((turns[host], place))
        turns[host] += 1
    return [due[place] for _, place in sorted(order)]


def origin_of(feed: Feed) -> str:
    """What the identities of a feed's entries belong to; it outlives a change of address."""
    return f"feed:{feed.id}"
