"""Scored rows from the database, and the index of them.

A story counts from when it was published, or from when it was read if it claims a later time: no
feed can put a story into the future. All functions read on the caller's connection, so that they
see what its transaction wrote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select, true

from apps.finance.records import ScoredMention
from apps.finance.sentiment_index.index import (
    HALF_LIFE_HOURS,
    IndexPoint,
    IndexStep,
    Reading,
    needed_since,
    reading,
    remembered,
    sentiment_index,
)
from apps.finance.sentiment_index.timeline import ALL, Entry, Sighting, Timeline, entry_of
from shared.storage.finance_tables import mentions, stories

Window = tuple[datetime, datetime]
"""(after, until]: when stories were published."""

_STORY = (
    stories.c.first_seen_at,
    stories.c.id.label("story_id"),
    stories.c.published_at,
    stories.c.novelty,
    stories.c.event,
    stories.c.event_probability,
)


def sightings(
    connection: Connection,
    windows: Iterable[Window],
    *,
    seen_until: datetime | None,
    subjects: Collection[str] | None = None,
) -> list[Sighting]:
    """Scored stories and mentions published in any of the windows and read by ``seen_until``.

    ``seen_until`` None does not ask when they were read.
    ``subjects`` holds ``all``, ``company:<id>`` and ``sector:<name>``; None gives every row.
    """
    published = or_(*(_published_in(*window) for window in windows))
    where = published
    if seen_until is not None:
        where = and_(stories.c.first_seen_at <= seen_until, published)
    found: list[Sighting] = []
    if subjects is None or ALL in subjects:
        found += [_sighting(row, None) for row in connection.execute(_story_rows().where(where))]
    about = _about(subjects)
    if about is not None:
        rows = connection.execute(_mention_rows().where(where, about))
        found += [_sighting(row, row.company_id) for row in rows]
    return found


def known_since(connection: Connection) -> datetime | None:
    """When the monitor read its first story; None before it."""
    first: datetime | None = connection.execute(
        select(func.min(stories.c.first_seen_at, type_=stories.c.first_seen_at.type))
    ).scalar_one()
    return first


def index_points(
    connection: Connection,
    subject: str,
    *,
    step: IndexStep,
    since: datetime,
    until: datetime,
    half_life_hours: float = HALF_LIFE_HOURS,
) -> list[IndexPoint]:
    """The index of a subject, as ``sentiment_index`` says, of all stories read so far."""
    window = (needed_since(since, half_life_hours), until)
    rows = sightings(connection, [window], seen_until=None, subjects=[subject])
    return sentiment_index(
        [row.mention for row in rows],
        subject=subject,
        step=step,
        since=since,
        until=until,
        half_life_hours=half_life_hours,
        known_since=known_since(connection) or until,
    )


def company_readings(
    connection: Connection,
    moments: Sequence[datetime],
    half_life_hours: float = HALF_LIFE_HOURS,
) -> dict[str, tuple[Reading, ...]]:
    """The index of each company that news speaks of, at each of the moments, by company id."""
    if not moments:
        return {}
    window = (min(moments) - remembered(half_life_hours), max(moments))
    entries_of: defaultdict[str, list[Entry]] = defaultdict(list)
    for row in sightings(connection, [window], seen_until=None):
        if row.mention.company_id is not None:
            entries_of[row.mention.company_id].append(entry_of(row.mention))
    lines = {company: Timeline(entries) for company, entries in sorted(entries_of.items())}
    return {
        company: tuple(reading(line, at, half_life_hours) for at in moments)
        for company, line in lines.items()
    }


def _published_in(after: datetime, until: datetime) -> ColumnElement[bool]:
    by_then = or_(stories.c.published_at <= until, stories.c.first_seen_at <= until)
    return and_(stories.c.published_at > after, by_then)


def _about(subjects: Collection[str] | None) -> ColumnElement[bool] | None:
    """Which mentions count; None: none of them."""
    if subjects is None:
        return true()
    companies = sorted(one.removeprefix("company:") for one in subjects if one[:8] == "company:")
    sectors = sorted(one.removeprefix("sector:") for one in subjects if one[:7] == "sector:")
    named = [
        column.in_(names)
        for column, names in ((mentions.c.company_id, companies), (mentions.c.sector, sectors))
        if names
    ]
    return or_(*named) if named else None


def _story_rows() -> Select[Any]:
    overall = (stories.c.label, stories.c.probabilities)
    return select(*_STORY, *overall).where(stories.c.label.is_not(None))


def _mention_rows() -> Select[Any]:
    names = ("company_id", "sector", "relevance", "label", "negative", "neutral", "positive")
    about = tuple(mentions.c[name] for name in names)
    return select(*_STORY, *about).join(stories, stories.c.id == mentions.c.story_id)


def _sighting(row: Row[Any], company_id: str | None) -> Sighting:
    moods = row._mapping if company_id is not None else row.probabilities
    mention = ScoredMention(
        story_id=row.story_id,
        company_id=company_id,
        sector=row.sector if company_id is not None else None,
        published_at=min(row.published_at, row.first_seen_at),
        relevance=row.relevance if company_id is not None else 1.0,
        novelty=row.novelty,
        label=row.label,
        negative=moods["negative"],
        neutral=moods["neutral"],
        positive=moods["positive"],
        event=row.event,
        event_probability=row.event_probability,
    )
    return Sighting(row.first_seen_at, mention)
