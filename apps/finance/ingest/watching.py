"""The watcher: a process of its own that polls the feeds as they fall due.

The scheduler decides nothing: every few seconds it calls ``Watcher.tick``, and what is due stands
in the database. Any number of watchers may run; the one that holds the lease works. APScheduler
counts on the wall clock, so a clock that is set back would put it to sleep: a thread that counts
on the monotonic clock notices and wakes it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Engine

from apps.finance.ingest.counts import IngestCounts
from apps.finance.ingest.pipeline import Ingestion
from shared.storage.counters import add_to_counter
from shared.storage.lease_holders import is_dead
from shared.storage.leases import Lease

log = logging.getLogger(__name__)

LEASE = "finance.watch"
MISSED_RUNS = "finance.watch.missed_runs"
"""The counter of runs that did not happen when they should have."""

TICK_SECONDS = 15.0
"""Seconds between two looks at what is due."""

LEASE_SECONDS = 45.0
"""After a watcher's death another works within this and a third of it: 60 s. Its successor on the
same machine works at once."""

GRACE_SECONDS = 6 * 3600
"""A run that is late by less is made up for, once however many were missed."""

JUMP_SECONDS = 5.0
"""The clock jumped when it moved by so much more or less than time passed."""

STOP_SECONDS = 60.0
"""How long a stop waits for the document in hand."""


@dataclass(frozen=True, slots=True)
class SideJob:
    """Something else that only the working watcher does, such as sending what alerts tell."""

    id: str
    seconds: float
    run: Callable[[datetime], object]


class Watcher:
    """What the scheduler calls. ``monotonic`` counts seconds that no setting of a clock moves.

    ``report`` is told what each round did, and its seconds.
    """

    def __init__(
        self,
        engine: Engine,
        ingestion: Ingestion,
        lease: Lease,
        *,
        tick_seconds: float = TICK_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        report: Callable[[IngestCounts, float], None] = lambda counts, seconds: None,
    ) -> None:
        self._engine = engine
        self._ingestion = ingestion
        self._lease = lease
        self._tick_seconds = tick_seconds
        self._monotonic = monotonic
        self._report = report
        self._held_until: float | None = None
        self._last_tick: datetime | None = None
        self._working = threading.Lock()
        self._stopping = threading.Event()

    @property
    def works(self) -> bool:
        """Whether this watcher is the one that works, and may go on."""
        held = self._held_until
        return held is not None and self._monotonic() < held and not self._stopping.is_set()

    def hold(self, now: datetime) -> bool:
        """Renew the lease, or take it where it is free; whether it is held now."""
        if self._stopping.is_set():
            return False
        asked = self._monotonic()
        if self._held_until is not None:
            if self._lease.renew(now):
                self._held_until = asked + self._lease.seconds
                return True
            log.warning("another watcher holds the lease by now: this one waits")
            self._held_until = self._last_tick = None
        if self._lease.release_dead(is_dead, now):
            log.info("the watcher before this one is dead: its lease is free")
        lapsed = self._lease.lapsed_at(now)
        if not self._lease.acquire(now):
            return False
        self._held_until = asked + self._lease.seconds
        log.info("%s works from now on", self._lease.holder)
        if lapsed is not None:
            self._count_missed(missed_runs(lapsed, now, self._tick_seconds), "no watcher was alive")
        return True

    def tick(self, now: datetime) -> IngestCounts | None:
        """Take in what is due and score what waits; None where another watcher works."""
        if not self.works:
            return None
        with self._working:
            began = self._monotonic()
            if self._last_tick is not None:
                missed = missed_runs(self._last_tick, now, self._tick_seconds)
                self._count_missed(missed, f"the last run was at {self._last_tick:%H:%M:%S}")
            self._last_tick = now
            counts = self._ingestion.ingest_due(now, keep_going=lambda: self.works)
            if self.works:
                self._ingestion.score_waiting(now, keep_going=lambda: self.works)
                self._ingestion.after_time(now)
            seconds = self._monotonic() - began
        self._report(counts, seconds)
        return counts

    def stop(self) -> None:
        """Finish the document in hand, then leave the lease to others."""
        self._stopping.set()
        if self._working.acquire(timeout=STOP_SECONDS):
            self._working.release()
        if self._held_until is not None:
            self._lease.release()
            self._held_until = None

    def missed(self, runs: int, why: str) -> None:
        """Count runs that the scheduler had to leave out."""
        self._count_missed(runs, why)

    def _count_missed(self, runs: int, why: str) -> None:
        if runs <= 0:
            return
        log.warning("%d runs were missed: %s", runs, why)
        with self._engine.begin() as connection:
            add_to_counter(connection, MISSED_RUNS, runs)


def missed_runs(last: datetime, now: datetime, seconds: float) -> int:
    """Runs that should have been between two; none where the clock was set back."""
    return max(0, round((now - last).total_seconds() / seconds) - 1)


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on both clocks: the wall's, and seconds of the monotonic one."""

    wall: datetime
    monotonic: float


def clock_jump(before: Moment, after: Moment) -> float:
    """Seconds by which the wall clock was set forward (or back, negative); 0 for small ones."""
    jump = (after.wall - before.wall).total_seconds() - (after.monotonic - before.monotonic)
    return jump if abs(jump) > JUMP_SECONDS else 0.0


class Scheduler(Protocol):
    """What the guard of the clock asks of APScheduler."""

    def get_jobs(self) -> list[Any]:
        """All jobs; each has ``modify(next_run_time=...)``."""
        ...

    def wakeup(self) -> None:
        """Look at the jobs now."""
        ...


def wake_after_jump(scheduler: Scheduler, before: Moment, after: Moment) -> float:
    """After a jump of the clock make every job due at once; the jump in seconds."""
    jump = clock_jump(before, after)
    if jump:
        log.warning("the clock jumped by %+.0f s: all jobs run now", jump)
        for job in scheduler.get_jobs():
            job.modify(next_run_time=after.wall)
        scheduler.wakeup()
    return jump


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def work_once(
    watcher: Watcher, side_jobs: Sequence[SideJob] = (), *, clock: Callable[[], datetime] = utc_now
) -> None:
    """One round, side jobs included, then leave the lease; nothing where another watcher works."""
    try:
        if watcher.hold(clock()):
            watcher.tick(clock())
            for job in side_jobs:
                job.run(clock())
    finally:
        watcher.stop()


def watch(
    watcher: Watcher,
    *,
    tick_seconds: float = TICK_SECONDS,
    lease_seconds: float = LEASE_SECONDS,
    side_jobs: Sequence[SideJob] = (),
    clock: Callable[[], datetime] = utc_now,
    on_start: Callable[[Callable[[], None]], None] = lambda stop: None,
) -> None:
    """Run until stopped; ``on_start`` is given what stops it, for a signal to call.

    Returns when the document in hand is stored and the lease is free for another watcher.
    """
    from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
    from apscheduler.schedulers.blocking import BlockingScheduler

    scheduler = BlockingScheduler(
        timezone=UTC,
        job_defaults={
            "coalesce": True,
            "max_instances": 1,
            "misfire_grace_time": GRACE_SECONDS,
        },
    )

    def add(id: str, seconds: float, run: Callable[[], object]) -> None:
        scheduler.add_job(run, "interval", seconds=seconds, id=id, next_run_time=clock())

    def when_working(job: SideJob) -> Callable[[], object]:
        return lambda: job.run(clock()) if watcher.works else None

    watcher.hold(clock())
    add("lease", lease_seconds / 3, lambda: watcher.hold(clock()))
    add("ingest", tick_seconds, lambda: watcher.tick(clock()))
    for job in side_jobs:
        add(job.id, job.seconds, when_working(job))
    scheduler.add_listener(
        lambda event: watcher.missed(1, f"job {event.job_id} came too late"), EVENT_JOB_MISSED
    )
    scheduler.add_listener(
        lambda event: watcher.missed(1, f"job {event.job_id} still ran"), EVENT_JOB_MAX_INSTANCES
    )
    ended = threading.Event()

    def guard_clock() -> None:
        before = Moment(clock(), time.monotonic())
        while not ended.wait(min(tick_seconds, JUMP_SECONDS)):
            after = Moment(clock(), time.monotonic())
            wake_after_jump(scheduler, before, after)
            before = after

    def stop() -> None:
        ended.set()
        if scheduler.running:
            scheduler.shutdown(wait=False)

    guard = threading.Thread(target=guard_clock, name="clock", daemon=True)
    guard.start()
    on_start(stop)
    try:
        scheduler.start()
    finally:
        ended.set()
        watcher.stop()
        guard.join()
