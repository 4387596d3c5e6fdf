"""Stories as they are read: one, a page of many, and the rows that the index is made of."""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    and_,
    func,
    or_,
    select,
)

from apps.finance.records import (
    SENTIMENTS,
    Mention,
    ScoredMention,
    Story,
    StoryKind,
    StoryScore,
    StorySource,
)
from shared.errors import DataError, NotFound
from shared.storage.engine import reading
from shared.storage.finance_tables import mentions, stories, story_revisions, story_sources

LARGEST_PAGE = 200
"""Stories that a page holds at most."""


@dataclass(frozen=True, slots=True)
class StoryFilter:
    """What stories to show; None leaves a thing open.

    With a ``company`` the ``label`` is what the story says of that company, else the overall one.
    ``since`` is included, ``until`` is not. ``text`` is looked for in title and text, whatever its
    case (on SQLite: of ASCII letters).
    """

    company: str | None = None
    label: str | None = None
    event: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    kind: StoryKind | None = None


@dataclass(frozen=True, slots=True)
class StoryPage:
    """Stories, newest first, and the cursor of the next page where there is one."""

    stories: tuple[Story, ...]
    next_cursor: str | None


class StoryStore:
    """Reads stories; ``ingest`` writes them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, id: str) -> Story:
        """The story with its sources and score. Raises NotFound."""
        with reading(self._engine) as connection:
            found = _load(connection, select(stories).where(stories.c.id == id))
        if not found:
            raise NotFound(f"there is no story {id}", story_id=id)
        return found[0]

    def many(self, ids: Collection[str]) -> list[Story]:
        """The stories of these ids that there are, newest first."""
        with reading(self._engine) as connection:
            return _load(connection, _newest_first(select(stories).where(stories.c.id.in_(ids))))

    def page(self, wanted: StoryFilter, cursor: str | None, limit: int) -> StoryPage:
        """Up to ``limit`` stories (LARGEST_PAGE at most), those after ``cursor``.

        Pages neither repeat nor skip a story when stories come in between. Raises DataError for a
        cursor that no page gave.
        """
        limit = max(1, min(limit, LARGEST_PAGE))
        query = _newest_first(select(stories).where(*_conditions(wanted))).limit(limit + 1)
        if cursor is not None:
            published, id = _read_cursor(cursor)
            query = query.where(
                or_(
                    stories.c.published_at < published,
                    and_(stories.c.published_at == published, stories.c.id < id),
                )
            )
        with reading(self._engine) as connection:
            found = _load(connection, query)
        more = len(found) > limit
        shown = tuple(found[:limit])
        return StoryPage(shown, _cursor(shown[-1]) if more else None)

    def scored_mentions(
        self, since: datetime, until: datetime, company_ids: Collection[str] | None = None
    ) -> list[ScoredMention]:
        """``scored_mentions`` on a connection of its own."""
        with reading(self._engine) as connection:
            return scored_mentions(connection, since, until, company_ids)


def scored_mentions(
    connection: Connection,
    since: datetime,
    until: datetime,
    company_ids: Collection[str] | None = None,
) -> list[ScoredMention]:
    """Rows for the index, published in [since, until), oldest first.

    One row a scored story with company None and relevance 1, and one a company in it; with
    ``company_ids`` only the rows of those companies.
    """
    told = stories.c
    within = (told.scored_at.is_not(None), told.published_at >= since, told.published_at < until)
    rows: list[ScoredMention] = []
    shared = (told.id, told.published_at, told.novelty, told.event, told.event_probability)
    if company_ids is None:
        overall: Select[Any] = select(*shared, told.label, told.probabilities).where(*within)
        rows += [
            _scored(row, company_id=None, sector=None, relevance=1.0, **_three(row.probabilities))
            for row in connection.execute(overall)
        ]
    columns = (
        mentions.c.company_id, mentions.c.sector, mentions.c.relevance, mentions.c.label,
        mentions.c.negative, mentions.c.neutral, mentions.c.positive,
    )  # fmt: skip
    query: Select[Any] = (
        select(*shared, *columns).join(mentions, mentions.c.story_id == told.id).where(*within)
    )
    if company_ids is not None:
        query = query.where(mentions.c.company_id.in_(company_ids))
    rows += [
        _scored(
            row,
            company_id=row.company_id,
            sector=row.sector,
            relevance=row.relevance,
            negative=row.negative,
            neutral=row.neutral,
            positive=row.positive,
        )
        for row in connection.execute(query)
    ]
    return sorted(rows, key=lambda row: (row.published_at, row.story_id, row.company_id or ""))


def _scored(row: Row[Any], **columns: Any) -> ScoredMention:
    return ScoredMention(
        story_id=row.id,
        published_at=row.published_at,
        novelty=row.novelty,
        label=row.label,
        event=row.event,
        event_probability=row.event_probability,
        **columns,
    )


def _three(probabilities: Mapping[str, float]) -> dict[str, float]:
    return {name: probabilities[name] for name in SENTIMENTS}


# Choosing stories


def _conditions(wanted: StoryFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.company is not None:
        said = [mentions.c.story_id == stories.c.id, mentions.c.company_id == wanted.company]
        if wanted.label is not None:
            said.append(mentions.c.label == wanted.label)
        conditions.append(select(mentions.c.id).where(*said).exists())
    elif wanted.label is not None:
        conditions.append(stories.c.label == wanted.label)
    if wanted.event is not None:
        conditions.append(stories.c.event == wanted.event)
    if wanted.since is not None:
        conditions.append(stories.c.published_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(stories.c.published_at < wanted.until)
    if wanted.kind is not None:
        conditions.append(stories.c.kind == wanted.kind)
    if wanted.text:
        conditions.append(
            or_(
                stories.c.title.icontains(wanted.text, autoescape=True),
                stories.c.text.icontains(wanted.text, autoescape=True),
            )
        )
    return conditions


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(stories.c.published_at.desc(), stories.c.id.desc())


def _cursor(last: Story) -> str:
    raw = json.dumps([last.published_at.isoformat(), last.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        published, id = json.loads(raw)
        at = datetime.fromisoformat(published)
        if at.tzinfo is None or not isinstance(id, str):
            raise ValueError("no cursor of ours")
    except (binascii.Error, ValueError, TypeError) as error:
        raise DataError(
            "this cursor was not given by a page: start without one", cursor=cursor[:100]
        ) from error
    return at, id


# From rows to records


def _load(connection: Connection, query: Select[Any]) -> list[Story]:
    """The stories that a query selects, in its order; three queries however many there are."""
    rows = connection.execute(query).all()
    ids = [row.id for row in rows]
    if not ids:
        return []
    sources = _sources(connection, ids)
    said = _mentions(connection, ids)
    return [_story(row, sources[row.id], said[row.id]) for row in rows]


def _sources(connection: Connection, ids: Sequence[str]) -> dict[str, list[StorySource]]:
    revisions = (
        select(func.count())
        .select_from(story_revisions)
        .where(story_revisions.c.source_id == story_sources.c.id)
        .scalar_subquery()
    )
    query = (
        select(story_sources, revisions.label("revisions"))
        .where(story_sources.c.story_id.in_(ids))
        .order_by(story_sources.c.id)
    )
    found: dict[str, list[StorySource]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.story_id].append(
            StorySource(
                origin=row.origin,
                feed_id=row.feed_id,
                publisher=row.publisher,
                author=row.author,
                link=row.link,
                title=row.title,
                published_at=row.published_at,
                seen_at=row.seen_at,
                revisions=row.revisions,
            )
        )
    return found


def _mentions(connection: Connection, ids: Sequence[str]) -> dict[str, list[Mention]]:
    query = (
        select(mentions)
        .where(mentions.c.story_id.in_(ids))
        .order_by(mentions.c.relevance.desc(), mentions.c.id)
    )
    found: dict[str, list[Mention]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.story_id].append(
            Mention(
                company_id=row.company_id,
                name=row.name,
                sector=row.sector,
                relevance=row.relevance,
                in_title=row.in_title,
                spans=tuple((start, end) for start, end in row.spans),
                label=row.label,
                probabilities={name: getattr(row, name) for name in SENTIMENTS},
                reason=row.reason,
            )
        )
    return found


def _story(row: Row[Any], sources: Sequence[StorySource], said: Sequence[Mention]) -> Story:
    score = None
    if row.scored_at is not None:
        score = StoryScore(
            label=row.label,
            probabilities=_three(row.probabilities),
            reason=row.reason,
            event=row.event,
            event_probability=row.event_probability,
            mentions=tuple(said),
            version=row.version,
        )
    return Story(
        id=row.id,
        kind=row.kind,
        title=row.title,
        text=row.text,
        link=row.link,
        published_at=row.published_at,
        first_seen_at=row.first_seen_at,
        updated_at=row.updated_at,
        novelty=row.novelty,
        near_story_id=row.near_story_id,
        sources=tuple(sources),
        score=score,
    )
