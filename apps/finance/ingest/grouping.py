"""One story from several publishers: near-duplicates by embedding, and how new a story is.

The embeddings of the window stay in memory from document to document. They are read from the
database alone, never added by hand: memory cannot get ahead of what was committed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from apps.finance.records import STORY_KINDS, StoryKind
from shared.records import fold_text
from shared.storage.finance_tables import stories, story_sources

WINDOW = timedelta(hours=72)
"""Two stories published further apart are never one."""

THRESHOLD = 0.80
"""The cosine of one story told by two publishers. With MiniLM, on the labelled sample feeds: 68 %
of the pairs that are one story reach it, and no other pair does (the next is at .68); the same
sentence about another company lies at .77 and below."""

SAME_PUBLISHER = 0.93
"""The cosine of one story told twice by one publisher, whose columns look alike day after day."""

LARGEST = 60_000
"""Stories in memory after which those that are not needed are let go."""

_APART = -2.0
"""Stands for a pair that is not compared; no cosine is that low."""

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_PREFIX = re.compile(r"^\s*(update|wrapup|refile|rpt|corrected)\s*\d*\s*[-:]\s*", re.IGNORECASE)
_UP = frozenset(
    "up rise rises rose rising gain gains gained jump jumps jumped surge surges surged soar soars"
    " climb climbs climbed rally rallies advance advances beat beats tops raise raises raised lift"
    " lifts hike hikes upgrade upgrades upgraded buy profit higher grow grows grew".split()
)
_DOWN = frozenset(
    "down fall falls fell falling drop drops dropped slump slumps slumped plunge plunges plunged"
    " sink sinks slip slips slipped decline declines miss misses missed cut cuts trims lower"
    " lowers lowered downgrade downgrades downgraded sell loss shrink shrinks shrank tumble"
    " tumbles".split()
)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A story that may be new: the id that it gets if it is, who tells it, and since when."""

    id: str
    title: str
    published_at: datetime
    publisher: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a newcomer belongs.

    ``story_id`` is its own, or that of the known story that it tells again. ``novelty`` in
    [0, 1] is 1 less the highest cosine within the window; ``near_story_id`` has that cosine.
    """

    story_id: str
    novelty: float
    near_story_id: str | None


class NearDuplicates:
    """The stories of the window by embedding. For one thread; ``extend`` before ``place``."""

    def __init__(self, *, window: timedelta = WINDOW, threshold: float = THRESHOLD) -> None:
        self.window = window
        self.threshold = threshold
        self._vectors: NDArray[np.float32]
        self._times: NDArray[np.float64]
        self._kinds: NDArray[np.int8]
        self._ids: list[str]
        self._titles: list[str]
        self._rows: dict[str, int]
        self._told_by: dict[str, set[str]]
        self._span: tuple[datetime, datetime] | None
        self._last_source: int
        self._clear()

    def __len__(self) -> int:
        return len(self._ids)

    def extend(self, connection: Connection, times: Sequence[datetime]) -> None:
        """Read what memory lacks of the window around ``times``."""
        since, until = min(times) - self.window, max(times) + self.window
        newest = connection.scalar(select(func.max(story_sources.c.id))) or 0
        published = stories.c.published_at
        first, last = self._span or (since, until)
        apart = since > last + self.window or until < first - self.window
        if self._span is None or apart:
            self._clear()
            wanted: list[ColumnElement[bool]] = [published.between(since, until)]
            first, last = since, until
        else:
            wanted = []
            if newest > self._last_source:
                added = select(story_sources.c.story_id).where(
                    story_sources.c.id > self._last_source
                )
                wanted.append(and_(stories.c.id.in_(added), published.between(first, last)))
            if since < first:
                wanted.append(and_(published >= since, published < first))
            if until > last:
                wanted.append(and_(published > last, published <= until))
            first, last = min(first, since), max(last, until)
        if wanted:
            self._read(connection, or_(*wanted))
        self._span, self._last_source = (first, last), newest
        if len(self) > LARGEST:
            self._let_go_before(since)

    def place(
        self, kind: StoryKind, newcomers: Sequence[Newcomer], vectors: NDArray[np.float32]
    ) -> list[Placement]:
        """Where each newcomer belongs, those before it in the list known to it.

        ``vectors`` are unit vectors float32 [n, dimensions], as ``stored_vectors`` rounds them.
        Only stories of the same kind are compared.
        """
        known = len(self)
        titles = [*self._titles, *(one.title for one in newcomers)]
        ids = [*self._ids, *(one.id for one in newcomers)]
        told_by = self._told_by | {one.id: {one.publisher} for one in newcomers}
        similarity = self._similarities(kind, newcomers, vectors)
        placed: list[Placement] = []
        for row, newcomer in enumerate(newcomers):
            reach = similarity[row, : known + row]
            near = np.flatnonzero(reach >= self.threshold)
            for column in near[np.argsort(-reach[near], kind="stable")].tolist():
                again = newcomer.publisher in told_by[ids[column]]
                if again and reach[column] < SAME_PUBLISHER:
                    continue
                if not contradict(newcomer.title, titles[column]):
                    ids[known + row] = ids[column]
                    told_by[ids[column]] = told_by[ids[column]] | {newcomer.publisher}
                    placed.append(Placement(ids[column], 0.0, None))
                    break
            else:
                placed.append(_new_story(newcomer, reach, ids))
        return placed

    def replace(self, story_id: str, title: str, vector: NDArray[np.float32]) -> None:
        """Take the new words of a known story, once they are committed."""
        row = self._rows.get(story_id)
        if row is not None:
            self._vectors[row], self._titles[row] = vector, title

    def _similarities(
        self, kind: StoryKind, newcomers: Sequence[Newcomer], vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Cosines [n, known + n]; ``_APART`` for another kind or outside the window."""
        known = len(self)
        times = np.array([one.published_at.timestamp() for one in newcomers])
        similarity = np.empty((len(newcomers), known + len(newcomers)), np.float32)
        if known:
            similarity[:, :known] = vectors @ self._vectors[:known].T
            similarity[:, :known][:, self._kinds[:known] != STORY_KINDS.index(kind)] = _APART
        similarity[:, known:] = vectors @ vectors.T
        all_times = np.concatenate([self._times[:known], times])
        apart = np.abs(times[:, None] - all_times[None, :]) > self.window.total_seconds()
        similarity[apart] = _APART
        return similarity

    def _clear(self) -> None:
        self._vectors, self._times = np.zeros((0, 0), np.float32), np.zeros(0)
        self._kinds = np.zeros(0, np.int8)
        self._ids, self._titles, self._rows, self._told_by = [], [], {}, {}
        self._span, self._last_source = None, 0

    def _read(self, connection: Connection, wanted: ColumnElement[bool]) -> None:
        columns = (
            stories.c.id, stories.c.kind, stories.c.title, stories.c.published_at,
            stories.c.embedding, story_sources.c.publisher,
        )  # fmt: skip
        query: Select[Any] = select(*columns).join(
            story_sources, story_sources.c.story_id == stories.c.id
        )
        found: dict[str, Row[Any]] = {}
        for row in connection.execute(query.where(wanted, stories.c.embedding.is_not(None))):
            found.setdefault(row.id, row)
            self._told_by.setdefault(row.id, set()).add(row.publisher)
        rows = [row for row in found.values() if row.id not in self._rows]
        if not rows:
            return
        read = np.stack([np.frombuffer(row.embedding, np.float16) for row in rows])
        start, end = len(self), len(self) + len(rows)
        self._make_room(end, read.shape[1])
        self._vectors[start:end] = read
        self._times[start:end] = [row.published_at.timestamp() for row in rows]
        self._kinds[start:end] = [STORY_KINDS.index(row.kind) for row in rows]
        self._ids += [row.id for row in rows]
        self._titles += [row.title for row in rows]
        self._rows.update({row.id: start + place for place, row in enumerate(rows)})

    def _make_room(self, rows: int, dimensions: int) -> None:
        """Capacity for ``rows``, doubled each time that it runs out."""
        if rows <= len(self._vectors):
            return
        known, capacity = len(self), max(1024, rows, 2 * len(self._vectors))
        vectors = np.zeros((capacity, dimensions), np.float32)
        times, kinds = np.zeros(capacity), np.zeros(capacity, np.int8)
        if known:
            vectors[:known] = self._vectors[:known]
            times[:known], kinds[:known] = self._times[:known], self._kinds[:known]
        self._vectors, self._times, self._kinds = vectors, times, kinds

    def _let_go_before(self, since: datetime) -> None:
        """Forget what was published before ``since``."""
        known = len(self)
        kept = np.flatnonzero(self._times[:known] >= since.timestamp())
        if len(kept) == known or self._span is None:
            return
        self._vectors = self._vectors[kept]
        self._times, self._kinds = self._times[kept], self._kinds[kept]
        self._ids = [self._ids[row] for row in kept]
        self._titles = [self._titles[row] for row in kept]
        self._rows = {id: row for row, id in enumerate(self._ids)}
        self._told_by = {id: self._told_by[id] for id in self._ids}
        self._span = (since, self._span[1])


def _new_story(newcomer: Newcomer, reach: NDArray[np.float32], ids: Sequence[str]) -> Placement:
    nearest = int(np.argmax(reach)) if len(reach) else -1
    if nearest < 0 or reach[nearest] <= _APART:
        return Placement(newcomer.id, 1.0, None)
    novelty = min(1.0, max(0.0, 1.0 - float(reach[nearest])))
    return Placement(newcomer.id, novelty, ids[nearest])


def stored_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors as the database gives them back: rounded to float16."""
    return vectors.astype(np.float16).astype(np.float32)


def contradict(first: str, second: str) -> bool:
    """Whether two titles that look alike tell different things.

    They do when each has a number that the other lacks, or when the one says up where the other
    says down: embeddings are blind to both.
    """
    if fold_text(first) == fold_text(second):
        return False
    ours, theirs = _words(first), _words(second)
    only_ours, only_theirs = ours - theirs, theirs - ours
    if any(word[0].isdigit() for word in only_ours) and any(
        word[0].isdigit() for word in only_theirs
    ):
        return True
    return bool(
        (only_ours & _UP and only_theirs & _DOWN) or (only_ours & _DOWN and only_theirs & _UP)
    )


def _words(title: str) -> set[str]:
    found = _WORD.findall(_PREFIX.sub("", title).casefold())
    return {word.replace(",", "") if word[0].isdigit() else word for word in found}
