"""Stored stories scored again by the version in use, the newest first, a batch at a time.

A story stands in line as long as another version scored it, so that a process that is killed goes
on where it was, two that work at once do no harm, and nothing is done twice. Each batch is one
transaction; the model works outside of it, and a story that was changed meanwhile stays in line.
The index is computed from the scores that are stored, and needs nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, func, select

from apps.finance.alerts.passing_over import raising_no_alert
from apps.finance.ingest.storing import rewrite_scores
from apps.finance.records import StoryText
from apps.finance.scoring.each import score_each
from apps.finance.scoring.protocol import StoryScorer
from shared.storage.engine import reading
from shared.storage.finance_tables import stories

log = logging.getLogger(__name__)

BATCH = 64
"""Stories of one transaction."""
BATCHES = 4
"""Of one look of the watcher, so that new stories do not wait for long."""


@dataclass(frozen=True, slots=True)
class Rescored:
    """What one batch did: stories ``taken`` from the line, ``written`` with a new score, of these
    ``changed`` in their label; and those that the scorer ``failed`` on, which keep the old one."""

    taken: int = 0
    written: int = 0
    changed: int = 0
    failed: int = 0

    def __add__(self, other: Rescored) -> Rescored:
        return Rescored(
            self.taken + other.taken,
            self.written + other.written,
            self.changed + other.changed,
            self.failed + other.failed,
        )


class Rescoring:
    """Scores again what another version than the one in use has scored.

    ``in_use`` is asked before each batch: while the scorer has not loaded the version that it
    names, nothing is done, since its scores would have to be replaced at once. A story that it
    fails on leaves the line until another version scores, so that older ones have their turn.
    """

    def __init__(
        self,
        engine: Engine,
        scorer: StoryScorer,
        *,
        in_use: Callable[[], str | None],
        batch: int = BATCH,
    ) -> None:
        self._engine = engine
        self._scorer = scorer
        self._in_use = in_use
        self._batch = batch
        self._failed: tuple[str | None, set[str]] = (None, set())

    def waiting(self, *, since: datetime | None = None, before: datetime | None = None) -> int:
        """How many stories stand in line; see ``step``."""
        version = self._scorer.version
        if version is None:
            return 0
        query = select(func.count()).select_from(stories).where(*_in_line(version, since, before))
        with reading(self._engine) as connection:
            return int(connection.scalar(query) or 0)

    def step(
        self, now: datetime, *, since: datetime | None = None, before: datetime | None = None
    ) -> Rescored:
        """One batch; nothing is taken where nobody stands in line.

        ``since`` is when a story was first read. With ``before`` those stand in line, too, that
        the version in use scored before that time: rules or companies may have changed.
        """
        version = self._scorer.version
        if version is None or version != self._in_use():
            return Rescored()
        failed = self._failed_by(version)
        line = (
            select(stories.c.id, stories.c.title, stories.c.text, stories.c.version)
            .where(*_in_line(version, since, before), stories.c.id.not_in(sorted(failed)))
            .order_by(stories.c.first_seen_at.desc(), stories.c.id)
            .limit(self._batch)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(line).all()
        if not rows:
            return Rescored()
        scores = score_each(self._scorer, [StoryText(row.title, row.text) for row in rows])
        failing = [row.id for row, score in zip(rows, scores, strict=True) if score is None]
        failed.update(failing)
        with self._engine.begin() as connection:
            now_there = select(
                stories.c.id,
                stories.c.title,
                stories.c.text,
                stories.c.version,
                stories.c.label,
            ).where(stories.c.id.in_([row.id for row in rows]), stories.c.scored_at.is_not(None))
            there = {
                row.id: row
                for row in connection.execute(now_there.order_by(stories.c.id).with_for_update())
            }
            kept = [
                (row.id, score)
                for row, score in zip(rows, scores, strict=True)
                if score is not None and row.id in there and _same(row, there[row.id])
            ]
            with raising_no_alert(connection, now, [story_id for story_id, _ in kept]):
                rewrite_scores(connection, kept, now)
        changed = sum(there[story_id].label != score.label for story_id, score in kept)
        return Rescored(len(rows), len(kept), changed, len(failing))

    def _failed_by(self, version: str) -> set[str]:
        """The stories that this version has failed on, to which more can be added."""
        if self._failed[0] != version:
            self._failed = (version, set())
        return self._failed[1]

    def some(self, now: datetime, *, since: datetime, batches: int = BATCHES) -> Rescored:
        """A few batches, for the watcher; it says when there is something to do."""
        total = Rescored()
        for _ in range(batches):
            done = self.step(now, since=since)
            total += done
            if done.taken < self._batch:
                break
        if total.taken:
            log.info(
                "%d stories scored again by %s (%d of another label, %d failed), %d to go",
                total.written,
                self._scorer.version,
                total.changed,
                total.failed,
                self.waiting(since=since),
            )
        return total


def _same(before: Any, after: Any) -> bool:
    return (before.title, before.text, before.version) == (after.title, after.text, after.version)


def _in_line(
    version: str, since: datetime | None, before: datetime | None
) -> list[ColumnElement[bool]]:
    by_another = stories.c.version != version
    if before is not None:
        by_another |= func.coalesce(stories.c.rescored_at, stories.c.scored_at) < before
    conditions = [stories.c.scored_at.is_not(None), by_another]
    if since is not None:
        conditions.append(stories.c.first_seen_at >= since)
    return conditions
