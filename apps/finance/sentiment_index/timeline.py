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

import numpy as np
from numpy.typing import NDArray

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


class Columns(NamedTuple):
    """What the index computes with, float64 [n] each, in the order of the entries."""

    seconds: NDArray[np.float64]
    weight: NDArray[np.float64]
    mood: NDArray[np.float64]


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
        self._columns: Columns | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Put one entry in its place."""
        insort(self._entries, entry)
        self._columns = None

    def between(self, after: datetime, until: datetime) -> Sequence[Entry]:
        """Entries published later than ``after`` and no later than ``until``."""
        return self._entries[self._rows(after, until)]

    def columns(self, after: datetime, until: datetime) -> Columns:
        """Their seconds, weights and moods."""
        if self._columns is None:
            numbers = [(one.seconds, one.weight, one.mood) for one in self._entries]
            table = np.array(numbers, dtype=np.float64).reshape(-1, 3)
            self._columns = Columns(*np.ascontiguousarray(table.T))
        rows = self._rows(after, until)
        return Columns(*(column[rows] for column in self._columns))

    def _rows(self, after: datetime, until: datetime) -> slice:
        first = bisect_right(self._entries, after, key=_published_at)
        return slice(first, bisect_right(self._entries, until, first, key=_published_at))


def timeline_of(rows: Iterable[ScoredMention], subject: str) -> Timeline:
    """The rows that count for the subject."""
    return Timeline(entry_of(row) for row in rows if subject in subjects_of(row))
