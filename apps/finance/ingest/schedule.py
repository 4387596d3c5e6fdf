"""When a feed is polled next, and what its row says after a poll. Pure.

A server's wishes are kept: Retry-After (RFC 9110, 10.2.3), Cache-Control and Expires (RFC 9111),
410 Gone (RFC 9110, 15.5.11), permanent redirects (RFC 9110, 15.4.2). Failures wait twice as long
each time, up to a day; no feed is given up for good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from apps.finance.records import Feed
from data_connectors.feed_fetching import (
    Busy,
    Failed,
    Fetched,
    FetchOutcome,
    Gone,
    NotModified,
)

SHORTEST_INTERVAL = 60
LONGEST_INTERVAL = 24 * 3600
"""Seconds between two polls; also the most that back-off and Retry-After can add up to."""

JITTER = 0.1
"""The part of a wait that chance may add, so that feeds do not fall due together."""

LONGEST_WAIT = timedelta(seconds=LONGEST_INTERVAL * (1 + JITTER))
"""No feed waits longer. One that seems to was polled while the clock ran ahead."""

_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class FeedChange:
    """What a poll changes in the feed's row.

    ``url`` differs from ``polled_url`` after a permanent redirect; ``mute_notice`` mutes.
    """

    feed_id: str
    polled_url: str
    url: str
    etag: str | None
    last_modified: str | None
    update_after: datetime
    last_polled_at: datetime
    last_success_at: datetime | None
    last_error: str | None
    failures: int
    mute_notice: str | None = None


def after_poll(
    feed: Feed,
    outcome: FetchOutcome,
    now: datetime,
    jitter: float,
    *,
    document_interval: int | None = None,
    document_error: str | None = None,
) -> FeedChange:
    """The feed's row after ``outcome``; ``jitter`` in [0, 1).

    ``document_interval`` is what a parsed document asks for in seconds; ``document_error`` says
    why fetched bytes could not be used: its validators are not kept, so that the next poll reads
    the document again.
    """
    match outcome:
        case Fetched() if document_error is None:
            wait = max(feed.interval_seconds, document_interval or 0, outcome.fresh_for or 0)
            return _succeeded(feed, now, wait, jitter, outcome.moved_to, outcome)
        case Fetched():
            return _failed(feed, now, document_error or "", 0.0, jitter)
        case NotModified():
            wait = max(feed.interval_seconds, outcome.fresh_for or 0)
            return _succeeded(feed, now, wait, jitter, outcome.moved_to, outcome)
        case Gone():
            reason = "the server says that this feed is gone for good (410)"
            change = _failed(feed, now, reason, 0.0, jitter)
            return replace(change, mute_notice=f"{reason}, on {now:%Y-%m-%d %H:%M} UTC")
        case Busy():
            reason = f"the server asks to wait (status {outcome.status})"
            return _failed(feed, now, reason, outcome.retry_after or 0.0, jitter)
        case Failed():
            return _failed(feed, now, outcome.reason, 0.0, jitter)


def is_due(update_after: datetime | None, now: datetime) -> bool:
    """Whether a feed is to be polled; also when its time lies further off than any wait."""
    return update_after is None or update_after <= now or update_after > now + LONGEST_WAIT


def back_off(interval_seconds: int, failures: int) -> float:
    """Seconds to wait after that many failures in a row: doubling, a day at most."""
    doubled = max(interval_seconds, SHORTEST_INTERVAL) * 2.0 ** min(failures, 24)
    return min(doubled, LONGEST_INTERVAL)


def _succeeded(
    feed: Feed,
    now: datetime,
    wait: float,
    jitter: float,
    moved_to: str | None,
    outcome: Fetched | NotModified,
) -> FeedChange:
    # A 304 need not repeat the validators; a full answer without them has none.
    kept = isinstance(outcome, NotModified)
    return FeedChange(
        feed_id=feed.id,
        polled_url=feed.url,
        url=moved_to or feed.url,
        etag=outcome.etag or (feed.etag if kept else None),
        last_modified=outcome.last_modified or (feed.last_modified if kept else None),
        update_after=_later(now, wait, jitter),
        last_polled_at=now,
        last_success_at=now,
        last_error=None,
        failures=0,
    )


def _failed(feed: Feed, now: datetime, reason: str, at_least: float, jitter: float) -> FeedChange:
    failures = feed.failures + 1
    return FeedChange(
        feed_id=feed.id,
        polled_url=feed.url,
        url=feed.url,
        etag=feed.etag,
        last_modified=feed.last_modified,
        update_after=_later(now, max(at_least, back_off(feed.interval_seconds, failures)), jitter),
        last_polled_at=now,
        last_success_at=feed.last_success_at,
        last_error=reason[:_LONGEST_ERROR],
        failures=failures,
    )


def _later(now: datetime, wait: float, jitter: float) -> datetime:
    return now + timedelta(seconds=min(wait, LONGEST_INTERVAL) * (1 + JITTER * jitter))
