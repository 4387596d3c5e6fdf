"""The process that refits: every night, and soon after somebody asks.

What is wished for stands in the database, so that any process may ask and any may fit; the
tenant's lease lets one. The scheduler only wishes, once a night; a night that nobody was up for is
made up for at the next start.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, time

from apps.recommend.operations.refit import Refit, RefitReport
from apps.recommend.operations.refit_state import RefitLedger, next_step, night_missed

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
"""Seconds between two looks at what is wished for."""

GRACE_SECONDS = 6 * 3600
"""A night's wish that comes later than this is left to the next start or night."""


class RefitRounds:
    """What the process does, round by round. ``author`` signs what it puts in use."""

    def __init__(self, ledger: RefitLedger, refit: Refit, *, author: str) -> None:
        self._ledger = ledger
        self._refit = refit
        self._author = author

    def wish_for_the_night(self, now: datetime, nightly: time) -> tuple[str, ...]:
        """Wish for a refit of every tenant that had none since it was last ``nightly``."""
        missed = tuple(
            tenant
            for tenant in self._ledger.tenants()
            if night_missed(self._ledger.read(tenant), now, nightly)
        )
        for tenant in missed:
            self._ledger.wish(tenant, now)
        return missed

    def fit_what_is_due(
        self, keep_going: Callable[[], bool] = lambda: True
    ) -> tuple[RefitReport, ...]:
        """Refit every tenant with a wish, or whose refit was interrupted, one after another."""
        reports = []
        for state in self._ledger.states():
            if keep_going() and next_step(state) != "wait":
                report = self._refit.run(state.tenant, author=self._author, only_if_due=True)
                if report.outcome not in ("busy", "nothing to do"):
                    reports.append(report)
        return tuple(reports)


def serve_refits(
    rounds: RefitRounds,
    *,
    nightly: time,
    clock: Callable[[], datetime],
    poll_seconds: float = POLL_SECONDS,
    report: Callable[[RefitReport], None] = lambda done: None,
    on_start: Callable[[Callable[[], None]], None] = lambda stop: None,
) -> None:
    """Refit at ``nightly`` (UTC) and as wished, until stopped; a refit in hand is finished first.

    ``on_start`` is given what stops it, for a signal to call.
    """
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler(
        timezone=UTC,
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": GRACE_SECONDS},
    )
    scheduler.add_job(
        lambda: rounds.wish_for_the_night(clock(), nightly),
        "cron",
        hour=nightly.hour,
        minute=nightly.minute,
        second=nightly.second,
        id="recommend.nightly",
    )
    stopping = threading.Event()
    rounds.wish_for_the_night(clock(), nightly)
    scheduler.start()
    on_start(stopping.set)
    try:
        while not stopping.is_set():
            try:
                for done in rounds.fit_what_is_due(lambda: not stopping.is_set()):
                    report(done)
            except Exception:  # a database that is away for a while ends no process of months
                log.exception("this round of refits failed; the next follows")
            stopping.wait(poll_seconds)
    finally:
        scheduler.shutdown(wait=True)
