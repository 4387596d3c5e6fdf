"""How far the monitor is behind, from its tables: feeds, waiting stories, alerts not delivered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, select

from apps.finance.ingest.watching import LEASE, MISSED_RUNS
from apps.finance.records import SENTIMENTS
from shared.serving.watching.stored_gauges import ReadGauges, StoredGauge
from shared.storage.engine import reading
from shared.storage.finance_tables import counters, deliveries, feeds, leases, stories

RECENT = timedelta(hours=1)
"""What the label mix is counted over."""


def finance_gauges(engine: Engine) -> ReadGauges:
    """A reader of the monitor's gauges, some indexed counts and extremes."""

    def read(now: datetime) -> Iterable[StoredGauge]:
        with reading(engine) as connection:
            return [
                *_feeds(connection),
                *_stories(connection, now),
                *_deliveries(connection),
                *_watcher(connection),
            ]

    return read


def _feeds(connection: Connection) -> Iterable[StoredGauge]:
    active = feeds.c.state == "active"
    counts: dict[tuple[str, ...], float] = {("active",): 0.0, ("muted",): 0.0}
    for state, count in connection.execute(
        select(feeds.c.state, func.count()).group_by(feeds.c.state)
    ):
        counts[(state,)] = float(count)
    row = connection.execute(
        select(
            func.count().filter(feeds.c.failures > 0).label("failing"),
            _least(func.coalesce(feeds.c.update_after, feeds.c.created_at)).label("due"),
            _least(func.coalesce(feeds.c.last_success_at, feeds.c.created_at)).label("read"),
        ).where(active)
    ).one()
    single = StoredGauge.single
    yield StoredGauge("triptych_feeds", "Feeds by state", ("state",), counts)
    yield single(
        "triptych_feeds_failing", "Active feeds whose last attempt failed", float(row.failing)
    )
    yield single(
        "triptych_feed_due_timestamp_seconds",
        "When the most overdue active feed was due; the lag is time() less this, if positive",
        row.due,
    )
    yield single(
        "triptych_feed_read_timestamp_seconds",
        "The last success of the active feed that has been without one for the longest",
        row.read,
    )


def _stories(connection: Connection, now: datetime) -> Iterable[StoredGauge]:
    waits = stories.c.scored_at.is_(None)
    waiting, oldest = connection.execute(
        select(func.count(), _least(stories.c.first_seen_at)).where(waits)
    ).one()
    newest = connection.scalar(select(_greatest(stories.c.first_seen_at)))
    scored = connection.scalar(select(_greatest(stories.c.scored_at)))
    recent = and_(stories.c.scored_at > now - RECENT, stories.c.scored_at <= now)
    mix: dict[tuple[str, ...], float] = {(label,): 0.0 for label in SENTIMENTS}
    for label, count in connection.execute(
        select(stories.c.label, func.count()).where(recent).group_by(stories.c.label)
    ):
        mix[(label,)] = float(count)
    single = StoredGauge.single
    yield single("triptych_stories_waiting", "Stories that wait for a score", float(waiting))
    yield single(
        "triptych_story_waiting_timestamp_seconds",
        "When the story that has waited longest for its score was read",
        oldest,
    )
    yield single("triptych_story_read_timestamp_seconds", "When the newest story was read", newest)
    yield single(
        "triptych_index_timestamp_seconds",
        "When a story was last scored: the sentiment index holds what came until then",
        scored,
    )
    yield StoredGauge(
        "triptych_stories_scored_last_hour", "Stories scored within an hour", ("label",), mix
    )


def _deliveries(connection: Connection) -> Iterable[StoredGauge]:
    undelivered = deliveries.c.delivered_at.is_(None)
    after = deliveries.c.next_attempt_at
    row = connection.execute(
        select(
            func.count().filter(after.is_not(None)).label("waiting"),
            func.count().filter(after.is_(None)).label("given_up"),
            func.count().filter(deliveries.c.attempts > 0, after.is_not(None)).label("retried"),
            _least(after).label("due"),
        ).where(undelivered)
    ).one()
    counts: dict[tuple[str, ...], float] = {
        ("waiting",): float(row.waiting),
        ("retried",): float(row.retried),
        ("given_up",): float(row.given_up),
    }
    yield StoredGauge(
        "triptych_deliveries",
        "Deliveries of alerts: waiting; of these, retried after a failure; given up",
        ("state",),
        counts,
    )
    yield StoredGauge.single(
        "triptych_delivery_due_timestamp_seconds",
        "The next attempt of the delivery that is due first",
        row.due,
    )


def _watcher(connection: Connection) -> Iterable[StoredGauge]:
    until = connection.scalar(select(leases.c.expires_at).where(leases.c.name == LEASE))
    missed = connection.scalar(select(counters.c.value).where(counters.c.name == MISSED_RUNS))
    yield StoredGauge.single(
        "triptych_watcher_lease_timestamp_seconds",
        "Until when a watcher works; 0 where none does",
        until if until is not None else 0.0,
    )
    yield StoredGauge.single(
        "triptych_watcher_missed_runs", "Runs that watchers missed, ever", float(missed or 0)
    )


def _least(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.min(column, type_=column.type)


def _greatest(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.max(column, type_=column.type)
