"""The present at a glance, and the index over time, both read in one view of the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, func, select

from apps.finance.alerts.store import AlertStore
from apps.finance.feeds import FeedStore
from apps.finance.sentiment_index.index import IndexStep
from apps.finance.sentiment_index.queries import company_readings, index_points
from apps.finance.serving.alert_answers import answered
from apps.finance.serving.answers import as_series, as_story
from apps.finance.serving.service import Scorer
from apps.finance.stories import StoryFilter, StoryStore
from shared.api import finance, finance_alerts
from shared.errors import DataError
from shared.storage.engine import reading
from shared.storage.finance_tables import mentions, stories

DAY = timedelta(days=1)
DEFAULT_RANGE = 10 * DAY
LONGEST_RANGES: dict[IndexStep, timedelta] = {"hour": 92 * DAY, "day": 1_100 * DAY}
MOST_MOVERS = 5
LEAST_MOVE = 0.02
"""Of the index, from -1 to 1: less is no news."""
MOST_STORIES = 8
MOST_ALERTS = 20


class OverviewService:
    """What the routes of the overview and the index call; every method blocks."""

    def __init__(
        self,
        *,
        engine: Engine,
        scorer: Scorer,
        clock: Callable[[], datetime],
        rescore_days: float = 0.0,
    ) -> None:
        self._rescore_days = rescore_days
        self._engine = engine
        self._scorer = scorer
        self._clock = clock
        self._stories = StoryStore(engine)
        self._alerts = AlertStore(engine)
        self._feeds = FeedStore(engine)

    def index(
        self, subject: str, step: IndexStep, since: datetime | None, until: datetime | None
    ) -> finance.IndexSeries:
        """The index of a subject. Raises DataError for a range that is empty or too long."""
        end = until or self._clock()
        begin = since or end - DEFAULT_RANGE
        if begin >= end:
            raise DataError("the range is empty: `since` must lie before `until`")
        if end - begin > LONGEST_RANGES[step]:
            raise DataError(
                f"an index by the {step} goes over at most {LONGEST_RANGES[step].days} days, "
                f"not {(end - begin).days}: ask for less, or for days instead of hours"
            )
        with reading(self._engine) as connection:
            points = index_points(connection, subject, step=step, since=begin, until=end)
        return as_series(subject, step, points)

    def scored_by(self) -> finance.ScoredBy:
        """How many stories each version has scored, in all and of the days scored again."""
        since = self._clock() - self._rescore_days * DAY
        query = (
            select(
                stories.c.version,
                func.count().label("stories"),
                func.count().filter(stories.c.first_seen_at >= since).label("lately"),
                func.max(stories.c.first_seen_at, type_=stories.c.first_seen_at.type).label(
                    "newest_at"
                ),
            )
            .where(stories.c.scored_at.is_not(None))
            .group_by(stories.c.version)
            .order_by(stories.c.version.desc())
        )
        waiting = select(func.count()).select_from(stories).where(stories.c.scored_at.is_(None))
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            unscored = int(connection.scalar(waiting) or 0)
        return finance.ScoredBy(
            version=self._scorer.version,
            days=self._rescore_days,
            waiting=unscored,
            versions=[finance.VersionShare(**row._mapping) for row in rows],
        )

    def overview(self, days: int) -> finance_alerts.Overview:
        """The mood of so many days, movers, the newest negative stories, alerts, feeds."""
        now = self._clock()
        since = now - days * DAY
        with reading(self._engine) as connection:
            hourly = index_points(connection, "all", step="hour", since=since, until=now)
            daily = index_points(connection, "all", step="day", since=since, until=now)
            movers = _movers(connection, now)
            today, negative = _counts(connection, now)
        bad = self._stories.page(StoryFilter(label="negative", since=since), None, MOST_STORIES)
        alerts = self._alerts.page(now=now, state="open", limit=MOST_ALERTS)
        feeds = self._feeds.list()
        active = [feed for feed in feeds if feed.state == "active"]
        return finance_alerts.Overview(
            at=now,
            version=self._scorer.version,
            hourly=as_series("all", "hour", hourly),
            daily=as_series("all", "day", daily),
            stories_today=today,
            negative_today=negative,
            up=[mover for mover in movers if mover.change > 0][:MOST_MOVERS],
            down=[mover for mover in movers if mover.change < 0][:MOST_MOVERS],
            negative_stories=[as_story(story) for story in bad.stories],
            open_alerts=answered(self._engine, alerts.alerts),
            feeds=finance_alerts.FeedCounts(
                active=len(active),
                muted=len(feeds) - len(active),
                failing=sum(feed.failures > 0 for feed in active),
            ),
        )


def _counts(connection: Connection, now: datetime) -> tuple[int, int]:
    """Stories of the last day, and the negative ones among them."""
    row = connection.execute(
        select(func.count(), func.count().filter(stories.c.label == "negative"))
        .select_from(stories)
        .where(stories.c.published_at > now - DAY, stories.c.published_at <= now)
    ).one()
    return row[0], row[1]


def _movers(connection: Connection, now: datetime) -> list[finance_alerts.Mover]:
    """Companies that were in the news of the last day, the largest change first."""
    fresh = connection.execute(
        select(mentions.c.company_id, func.max(mentions.c.name), func.count())
        .join(stories, stories.c.id == mentions.c.story_id)
        .where(stories.c.published_at > now - DAY, stories.c.published_at <= now)
        .group_by(mentions.c.company_id)
    ).all()
    readings = company_readings(connection, [now - DAY, now])
    movers = []
    for company_id, name, count in fresh:
        if company_id not in readings:
            continue
        before, after = (reading.value or 0.0 for reading in readings[company_id])
        if abs(after - before) >= LEAST_MOVE:
            movers.append(
                finance_alerts.Mover(
                    company_id=company_id,
                    name=name,
                    before=before,
                    now=after,
                    change=after - before,
                    stories=count,
                )
            )
    return sorted(movers, key=lambda mover: (-abs(mover.change), mover.company_id))
