"""The scored rows about one subject in order of publication: what index and alerts are read from.

A subject is ``all``, ``company:<id>`` or ``sector:<name>``. Pure: no clock, no database.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import NamedTuple

from apps.finance.records import ScoredMention

ALL = "all"


class Sighting(NamedTuple):
    """A scored row, and when it became known."""

    seen_at: datetime
    mention: ScoredMention


def subjects_of(mention: ScoredMention) -> tuple[str, ...]:
    """The subjects that a row counts for: a story for ``all``, a mention for company and sector."""
    if mention.company_id is None:
        return (ALL,)
    company = f"company:{mention.company_id}"
    return (company, f"sector:{mention.sector}") if mention.sector else (company,)


def utc(moment: datetime) -> datetime:
    """The moment in UTC. ValueError where it has no zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A row in its place: ordered by publication, then by ids, so that input order is forgotten.

    ``seconds`` since 1970; ``mood`` in [-1, 1] is P(positive) less P(negative); ``weight`` in
    [0, 1] is relevance times novelty.
    """

    published_at: datetime
    story_id: str
    company_id: str
    seconds: float
    mood: float
    weight: float
    negative: bool
    event: str
    event_probability: float


def entry_of(mention: ScoredMention) -> Entry:
    """The row as a timeline holds it."""
    mood = _share(mention.positive) - _share(mention.negative)
    return Entry(
        published_at=mention.published_at,
        story_id=mention.story_id,
        company_id=mention.company_id or "",
        seconds=mention.published_at.timestamp(),
        mood=mood,
        weight=_share(mention.relevance) * _share(mention.novelty),
        negative=mention.label == "negative",
        event=mention.event or "",
        event_probability=mention.event_probability or 0.0,
    )


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


_published_at = attrgetter("published_at")


class Timeline:
    """Entries of one subject, sorted; ``add`` keeps the order."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = sorted(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Put one entry in its place."""
        insort(self._entries, entry)

    def between(self, after: datetime, until: datetime) -> Sequence[Entry]:
        """Entries published later than ``after`` and no later than ``until``."""
        first = bisect_right(self._entries, after, key=_published_at)
        last = bisect_right(self._entries, until, key=_published_at)
        return self._entries[first:last]


def timeline_of(rows: Iterable[ScoredMention], subject: str) -> Timeline:
    """The rows that count for the subject."""
    return Timeline(entry_of(row) for row in rows if subject in subjects_of(row))
