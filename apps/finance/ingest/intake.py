"""Takes the entries of one document in: compare, embed, group, score, store.

Everything of a document is stored in one transaction, the feed's row and the alerts that it sets
off included: a process that is killed at any moment loses nothing and doubles nothing. Embedding
and scoring hold no lock. Before it writes, a document claims a counter that every writer counts
up; where another wrote since it was planned, it is planned again.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Engine

from apps.finance.feeds import FeedStore
from apps.finance.ingest import storing
from apps.finance.ingest.counts import IngestCounts
from apps.finance.ingest.grouping import NearDuplicates, Newcomer, stored_vectors
from apps.finance.ingest.planning import Comparison, Sighting, compare
from apps.finance.ingest.schedule import FeedChange
from apps.finance.ingest.storing import NewStory, Rewording
from apps.finance.records import StoryKind, StoryScore
from apps.finance.scoring.each import score_each
from apps.finance.scoring.protocol import StoryScorer
from shared.storage.counters import add_to_counter, claim_counter, counter_value
from shared.storage.engine import reading

AfterStories = Callable[[Connection, datetime], object]
"""Called in the transaction that stored or scored stories; what it writes is kept with them."""


def nothing_after(connection: Connection, now: datetime) -> None:
    """Stories are stored, and that is all."""


PLANS = 4
"""Times that a document is planned without a lock before other writers have to wait for it."""

WRITERS = "finance.writes"
"""The counter that each stored document counts up."""


@dataclass(frozen=True, slots=True)
class _Document:
    origin: str
    feed_id: str | None
    kind: StoryKind
    seen: Sequence[Sighting]
    change: FeedChange | None
    now: datetime


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a document writes, and what the counter stood at when that was decided."""

    stamp: int
    comparison: Comparison
    new: tuple[NewStory, ...] = ()
    placed: tuple[tuple[str, Sighting], ...] = ()
    reworded: tuple[Rewording, ...] = ()

    @property
    def writes(self) -> bool:
        return bool(self.placed or self.reworded)


class Intake:
    """Takes documents in, one at a time; safe to call from several threads."""

    def __init__(
        self,
        engine: Engine,
        scorer: StoryScorer,
        *,
        near: NearDuplicates | None = None,
        after_stories: AfterStories = nothing_after,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._engine = engine
        self._scorer = scorer
        self._near = NearDuplicates() if near is None else near
        self._after_stories = after_stories
        self._new_id = new_id
        self._feeds = FeedStore(engine)
        self._one_at_a_time = threading.Lock()

    def take(
        self,
        seen: Sequence[Sighting],
        *,
        origin: str,
        feed_id: str | None = None,
        kind: StoryKind = "news",
        change: FeedChange | None = None,
        now: datetime,
    ) -> IngestCounts:
        """Store what the sightings add, and ``change`` with it, in one transaction.

        Nothing is stored for a feed that was removed in the meantime.
        """
        document = _Document(origin, feed_id, kind, seen, change, now)
        with self._one_at_a_time:
            for _ in range(PLANS):
                plan = self._plan(document, lambda: reading(self._engine))
                with self._engine.begin() as connection:
                    if plan.writes and not claim_counter(connection, WRITERS, plan.stamp):
                        continue
                    counts = self._store(connection, document, plan)
                self._remember(plan)
                return counts
            with self._engine.begin() as connection:
                add_to_counter(connection, WRITERS)
                plan = self._plan(document, lambda: nullcontext(connection))
                counts = self._store(connection, document, plan)
            self._remember(plan)
            return counts

    def score_waiting(self, now: datetime, limit: int) -> int:
        """Score up to ``limit`` stories that were stored without a score; how many were."""
        if self._scorer.version is None:
            return 0
        for _ in range(PLANS):
            with reading(self._engine) as connection:
                stamp = counter_value(connection, WRITERS)
                waiting = storing.unscored(connection, limit)
            if not waiting:
                return 0
            scores = score_each(self._scorer, [words for _, words in waiting])
            scored = [
                (story_id, score)
                for (story_id, _), score in zip(waiting, scores, strict=True)
                if score is not None
            ]
            if not scored:
                return 0
            with self._engine.begin() as connection:
                if claim_counter(connection, WRITERS, stamp):
                    storing.write_scores(connection, scored, now)
                    self._after_stories(connection, now)
                    return len(scored)
        return 0

    def _plan(
        self, document: _Document, connect: Callable[[], AbstractContextManager[Connection]]
    ) -> _Plan:
        with connect() as connection:
            stamp = counter_value(connection, WRITERS)
            identities = [sighting.identity for sighting in document.seen]
            known = storing.known_sources(connection, document.origin, identities)
            comparison = compare(document.seen, known, document.now)
            touched = [source.story_id for source, _ in comparison.changed]
            leading = storing.leading_sources(connection, touched) if touched else set()
        reworded = [
            Rewording(source, sighting, leads=source.id in leading)
            for source, sighting in comparison.changed
        ]
        led = [one for one in reworded if one.leads]
        to_read = [*comparison.new, *(one.sighting for one in led)]
        if not to_read:
            return _Plan(stamp, comparison, reworded=tuple(reworded))
        vectors = stored_vectors(self._scorer.embed([one.words.lead for one in to_read]))
        count = len(comparison.new)
        newcomers = [
            Newcomer(self._new_id(), one.title, one.story_time, one.publisher)
            for one in comparison.new
        ]
        if newcomers:
            with connect() as connection:
                self._near.extend(connection, [one.published_at for one in newcomers])
        places = self._near.place(document.kind, newcomers, vectors[:count])
        own = [row for row in range(count) if places[row].story_id == newcomers[row].id]
        scores = self._score([*(to_read[row] for row in own), *(one.sighting for one in led)])
        new = tuple(
            NewStory(
                newcomers[row].id,
                comparison.new[row],
                places[row].novelty,
                places[row].near_story_id,
                vectors[row],
                score,
            )
            for row, score in zip(own, scores, strict=False)
        )
        told = {
            one.source.id: replace(one, vector=vector, score=score)
            for one, vector, score in zip(led, vectors[count:], scores[len(own) :], strict=True)
        }
        return _Plan(
            stamp,
            comparison,
            new,
            tuple(
                (place.story_id, sighting)
                for place, sighting in zip(places, comparison.new, strict=True)
            ),
            tuple(told.get(one.source.id, one) for one in reworded),
        )

    def _score(self, seen: Sequence[Sighting]) -> Sequence[StoryScore | None]:
        """A score each; None where no model is in use, or where it failed: they wait for it."""
        if self._scorer.version is None or not seen:
            return [None] * len(seen)
        return score_each(self._scorer, [one.words for one in seen])

    def _store(self, connection: Connection, document: _Document, plan: _Plan) -> IngestCounts:
        if document.change and not self._feeds.apply(connection, document.change):
            return IngestCounts()
        now, distinct = document.now, len(plan.comparison.new)
        storing.insert_stories(connection, plan.new, document.kind, now)
        storing.insert_sources(connection, document.origin, document.feed_id, plan.placed, now)
        own = {story.id for story in plan.new}
        others = [story_id for story_id, _ in plan.placed if story_id not in own]
        storing.touch_stories(connection, others, now)
        revisions = storing.reword(connection, plan.reworded, now)
        if plan.writes:
            self._after_stories(connection, now)
        return IngestCounts(
            entries=len(document.seen),
            repeats=plan.comparison.repeats,
            distinct=distinct,
            stories=len(plan.new),
            revisions=revisions,
        )

    def _remember(self, plan: _Plan) -> None:
        for one in plan.reworded:
            if one.vector is not None:
                self._near.replace(one.source.story_id, one.sighting.title, one.vector)
