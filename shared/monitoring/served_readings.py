"""What models said lately, kept without the texts: a ring in the database, written aside.

A recorder samples readings in memory and writes a few of them every few seconds, from a thread of
its own: no request waits for it. Each process samples by itself, and all write to one table. No
text is kept, and nobody's name; a vector is no text, but says what one was about, so the ring is
short and old rows go.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from shared.monitoring.drift import ReadingWindow
from shared.storage.engine import reading
from shared.storage.monitoring_tables import served_readings

LOGGER = logging.getLogger(__name__)

KEPT = 2_000
"""Readings that are kept of an app, the newest."""
KEPT_DAYS = 30
SAMPLED = 50
"""Readings that one process writes at most in one interval, drawn from all of it."""
INTERVAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ServedReading:
    """What a model said of one text. ``vector`` is float [d]; a missing score is None."""

    version: str
    label: str
    confidence: float
    in_scope_score: float | None
    vector: NDArray[np.floating[Any]]
    at: datetime


class ReadingRecorder:
    """Keeps a sample of an app's readings. Its thread starts with the first of them.

    Within an interval each reading has the same chance to be kept (Vitter, "Random sampling with a
    reservoir", 1985). What cannot be written is logged and lost: monitoring holds up nobody.
    """

    def __init__(
        self,
        engine: Engine,
        app: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        interval_seconds: float = INTERVAL_SECONDS,
        sampled: int = SAMPLED,
        kept: int = KEPT,
        seed: int | None = None,
    ) -> None:
        self._engine = engine
        self._app = app
        self._clock = clock
        self._interval = interval_seconds
        self._sampled = sampled
        self._kept = kept
        self._random = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._waiting: list[ServedReading] = []
        self._seen = 0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def add(
        self,
        *,
        version: str,
        label: str,
        confidence: float,
        in_scope_score: float | None,
        vector: NDArray[np.floating[Any]],
    ) -> None:
        """Note one reading; most are only counted. Never blocks on the database."""
        with self._lock:
            if self._closing.is_set():
                return
            self._seen += 1
            place = len(self._waiting)
            if place >= self._sampled:
                place = int(self._random.integers(self._seen))
                if place >= self._sampled:
                    return
            kept = ServedReading(
                version,
                label,
                float(confidence),
                None if in_scope_score is None else float(in_scope_score),
                np.array(vector, dtype=np.float16),
                self._clock(),
            )
            self._waiting[place : place + 1] = [kept]
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name=f"{self._app}-readings", daemon=True
                )
                self._thread.start()

    def flush(self) -> int:
        """Write what waits now; how many readings that were."""
        with self._lock:
            batch, self._waiting, self._seen = self._waiting, [], 0
        if batch:
            with self._engine.begin() as connection:
                write_readings(connection, self._app, batch)
                prune(connection, self._app, kept=self._kept, now=self._clock())
        return len(batch)

    def close(self) -> None:
        """Write what waits and end. Nothing is noted afterwards; a second call does nothing."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout=30)
            self._thread = None
        self._try_flush()

    def _work(self) -> None:
        while not self._closing.wait(self._interval):
            self._try_flush()

    def _try_flush(self) -> None:
        try:
            self.flush()
        except SQLAlchemyError:
            LOGGER.exception("the readings of %s could not be kept", self._app)


def write_readings(connection: Connection, app: str, batch: list[ServedReading]) -> None:
    """Append readings to the ring of an app."""
    rows = [
        {
            "app": app,
            "version": one.version,
            "at": one.at,
            "label": one.label[:120],
            "confidence": one.confidence,
            "in_scope_score": one.in_scope_score,
            "vector": one.vector.astype(np.float16).tobytes(),
        }
        for one in batch
    ]
    connection.execute(insert(served_readings), rows)


def prune(connection: Connection, app: str, *, kept: int, now: datetime) -> None:
    """Drop all but the newest of an app, and what is older than KEPT_DAYS."""
    table = served_readings.c
    last = select(table.id).where(table.app == app).order_by(table.id.desc()).offset(kept).limit(1)
    newest_to_go = connection.execute(last).scalar()
    if newest_to_go is not None:
        connection.execute(
            delete(served_readings).where(table.app == app, table.id <= newest_to_go)
        )
    old = now - timedelta(days=KEPT_DAYS)
    connection.execute(delete(served_readings).where(table.app == app, table.at < old))


def live_window(engine: Engine, app: str, version: str, *, most: int) -> ReadingWindow:
    """The newest readings of a version, all processes together."""
    table = served_readings.c
    query = (
        select(table.label, table.confidence, table.in_scope_score, table.vector)
        .where(table.app == app, table.version == version)
        .order_by(table.id.desc())
        .limit(most)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    vectors = [np.frombuffer(row.vector, dtype=np.float16) for row in rows]
    return ReadingWindow(
        np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, 0), dtype=np.float32),
        tuple(row.label for row in rows),
        np.array([row.confidence for row in rows], dtype=np.float64),
        np.array(
            [np.nan if row.in_scope_score is None else row.in_scope_score for row in rows],
            dtype=np.float64,
        ),
    )


def count_readings(engine: Engine) -> dict[tuple[str, str], int]:
    """How many readings are kept, by app and version."""
    table = served_readings.c
    query = select(table.app, table.version, func.count()).group_by(table.app, table.version)
    with reading(engine) as connection:
        return {(app, version): int(count) for app, version, count in connection.execute(query)}
