"""What ingestion reads and writes, inside the caller's transaction; many rows a statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from apps.finance.ingest.planning import KnownSource, Sighting
from apps.finance.records import StoryKind, StoryScore, StoryText
from shared.storage.finance_tables import mentions, stories, story_revisions, story_sources

NO_SCORE: Mapping[str, Any] = dict.fromkeys(
    ("label", "probabilities", "reason", "event", "event_probability", "version", "scored_at")
)
"""The columns of a story that waits for a model."""


@dataclass(frozen=True, slots=True)
class NewStory:
    """A story to be stored, with the sighting that it takes its words from."""

    id: str
    sighting: Sighting
    novelty: float
    near_story_id: str | None
    vector: NDArray[np.float32]
    score: StoryScore | None


@dataclass(frozen=True, slots=True)
class Rewording:
    """New words of a known source. ``vector`` and ``score`` go to the story that rests on it."""

    source: KnownSource
    sighting: Sighting
    leads: bool
    vector: NDArray[np.float32] | None = None
    score: StoryScore | None = None


def known_sources(
    connection: Connection, origin: str, identities: Iterable[str]
) -> dict[str, KnownSource]:
    """What is stored of these identities of an origin, by identity: one query."""
    table = story_sources.c
    columns = (table.id, table.story_id, table.identity, table.digest, table.seen_at)
    query = select(*columns).where(
        table.origin == origin, table.identity.in_(list(dict.fromkeys(identities)))
    )
    return {
        row.identity: KnownSource(row.id, row.story_id, row.digest, row.seen_at)
        for row in connection.execute(query)
    }


def leading_sources(connection: Connection, story_ids: Iterable[str]) -> set[int]:
    """Of each story the source that it takes its words from: the first that was stored."""
    query = (
        select(func.min(story_sources.c.id))
        .where(story_sources.c.story_id.in_(set(story_ids)))
        .group_by(story_sources.c.story_id)
    )
    return set(connection.scalars(query))


def insert_stories(
    connection: Connection, new: Sequence[NewStory], kind: StoryKind, now: datetime
) -> None:
    """Store stories with their embeddings, scores and mentions; their sources come apart."""
    if not new:
        return
    rows = [
        {
            "id": story.id,
            "kind": kind,
            "title": story.sighting.title,
            "text": story.sighting.text,
            "link": story.sighting.link,
            "published_at": story.sighting.story_time,
            "first_seen_at": now,
            "updated_at": now,
            "novelty": story.novelty,
            "near_story_id": story.near_story_id,
            "embedding": story.vector.astype(np.float16).tobytes(),
            **score_columns(story.score, now),
        }
        for story in new
    ]
    connection.execute(insert(stories), rows)
    _insert_mentions(connection, [(story.id, story.score) for story in new])


def insert_sources(
    connection: Connection,
    origin: str,
    feed_id: str | None,
    placed: Sequence[tuple[str, Sighting]],
    now: datetime,
) -> None:
    """Store sightings as sources of the stories they are placed in, given as (story id, it)."""
    if not placed:
        return
    rows = [
        {
            "story_id": story_id,
            "origin": origin,
            "feed_id": feed_id,
            "identity": sighting.identity,
            "digest": sighting.digest,
            "publisher": sighting.publisher,
            "author": sighting.author,
            "link": sighting.link,
            "title": sighting.title,
            "text": sighting.text,
            "published_at": sighting.published_at,
            "seen_at": now,
        }
        for story_id, sighting in placed
    ]
    connection.execute(insert(story_sources), rows)


def touch_stories(connection: Connection, story_ids: Iterable[str], now: datetime) -> None:
    """Mark stories as changed at ``now``; an archive read later sets no time back."""
    if ids := set(story_ids):
        connection.execute(
            update(stories)
            .where(stories.c.id.in_(ids), stories.c.updated_at < now)
            .values(updated_at=now)
        )


def reword(connection: Connection, reworded: Sequence[Rewording], now: datetime) -> int:
    """Write new words over old ones, the old ones kept; the number of revisions that makes.

    A source that goes back to words it had before changes, and makes no revision of it: each
    wording is kept once.
    """
    if not reworded:
        return 0
    by_id = {one.source.id: one for one in reworded}
    kept = select(story_revisions.c.source_id, story_revisions.c.digest).where(
        story_revisions.c.source_id.in_(by_id)
    )
    said_before = {(row.source_id, row.digest) for row in connection.execute(kept)}
    before = connection.execute(select(story_sources).where(story_sources.c.id.in_(by_id))).all()
    revisions = [
        {
            "source_id": row.id,
            "title": row.title,
            "text": row.text,
            "digest": row.digest,
            "seen_at": row.seen_at,
        }
        for row in before
        if (row.id, row.digest) not in said_before
    ]
    if revisions:
        connection.execute(insert(story_revisions), revisions)
    connection.execute(
        update(story_sources).where(story_sources.c.id == bindparam("of")),
        [
            {
                "of": one.source.id,
                "title": one.sighting.title,
                "text": one.sighting.text,
                "link": one.sighting.link,
                "digest": one.sighting.digest,
                "seen_at": now,
            }
            for one in reworded
        ],
    )
    _reword_stories(connection, [one for one in reworded if one.leads], now)
    touch_stories(connection, (one.source.story_id for one in reworded), now)
    returned = sum((one.source.id, one.sighting.digest) in said_before for one in reworded)
    return len(reworded) - returned


def write_scores(
    connection: Connection, scores: Sequence[tuple[str, StoryScore | None]], now: datetime
) -> None:
    """Write scores over those that stories had; None makes a story wait for a model."""
    if not scores:
        return
    connection.execute(
        update(stories).where(stories.c.id == bindparam("of")),
        [{"of": story_id, **score_columns(score, now)} for story_id, score in scores],
    )
    connection.execute(
        delete(mentions).where(mentions.c.story_id.in_([story_id for story_id, _ in scores]))
    )
    _insert_mentions(connection, scores)


def rewrite_scores(
    connection: Connection, scores: Sequence[tuple[str, StoryScore]], now: datetime
) -> None:
    """Scores of a later version in the place of others; ``scored_at`` keeps the first time."""
    if not scores:
        return
    rows = []
    for story_id, score in scores:
        columns = score_columns(score, now) | {"rescored_at": now}
        del columns["scored_at"]
        rows.append({"of": story_id, **columns})
    connection.execute(update(stories).where(stories.c.id == bindparam("of")), rows)
    ids = [story_id for story_id, _ in scores]
    connection.execute(delete(mentions).where(mentions.c.story_id.in_(ids)))
    _insert_mentions(connection, scores)


def unscored(connection: Connection, limit: int) -> list[tuple[str, StoryText]]:
    """The newest stories that wait for a model: (id, words)."""
    query = (
        select(stories.c.id, stories.c.title, stories.c.text)
        .where(stories.c.scored_at.is_(None))
        .order_by(stories.c.published_at.desc(), stories.c.id)
        .limit(limit)
    )
    return [(row.id, StoryText(row.title, row.text)) for row in connection.execute(query)]


def score_columns(score: StoryScore | None, now: datetime) -> dict[str, Any]:
    """The columns of a story that hold its score."""
    if score is None:
        return dict(NO_SCORE)
    return {
        "label": score.label,
        "probabilities": dict(score.probabilities),
        "reason": dict(score.reason) if score.reason else None,
        "event": score.event,
        "event_probability": score.event_probability,
        "version": score.version,
        "scored_at": now,
    }


def _reword_stories(connection: Connection, leading: Sequence[Rewording], now: datetime) -> None:
    if not leading:
        return
    rows = []
    for one in leading:
        assert one.vector is not None, "a story's new words come with their embedding"
        rows.append(
            {
                "of": one.source.story_id,
                "title": one.sighting.title,
                "text": one.sighting.text,
                "link": one.sighting.link,
                "embedding": one.vector.astype(np.float16).tobytes(),
            }
        )
    connection.execute(update(stories).where(stories.c.id == bindparam("of")), rows)
    write_scores(connection, [(one.source.story_id, one.score) for one in leading], now)


def _insert_mentions(
    connection: Connection, scores: Iterable[tuple[str, StoryScore | None]]
) -> None:
    rows = [
        {
            "story_id": story_id,
            "company_id": mention.company_id,
            "name": mention.name,
            "sector": mention.sector,
            "relevance": mention.relevance,
            "in_title": mention.in_title,
            "spans": [list(span) for span in mention.spans],
            "label": mention.label,
            **{name: mention.probabilities[name] for name in ("negative", "neutral", "positive")},
            "reason": dict(mention.reason) if mention.reason else None,
            "version": score.version,
        }
        for story_id, score in scores
        if score is not None
        for mention in score.mentions
    ]
    if rows:
        connection.execute(insert(mentions), rows)
