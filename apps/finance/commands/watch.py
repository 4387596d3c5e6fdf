"""``triptych finance watch``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from apps.finance.ingest.counts import IngestCounts
    from apps.finance.ingest.watcher_metrics import WatcherMetrics
    from shared.serving.watching.telemetry import Traces


@click.command()
@click.option("--once", is_flag=True, help="One round over what is due, then leave.")
@json_option
@reports_errors
def watch(once: bool, as_json: bool) -> None:
    """Poll the feeds as they fall due, score what they bring, send what alerts tell; until stopped.

    Several watchers may run; one works, and when it dies another follows within a minute.
    """
    from apps.finance.ingest import watching
    from apps.finance.ingest.assembly import open_ingestion, scorer_of, side_jobs
    from apps.finance.ingest.watcher_metrics import watcher_metrics
    from shared.serving.watching.logs import configure_logging
    from shared.storage.lease_holders import this_process
    from shared.storage.leases import Lease

    settings, rounds = Settings(), _Rounds()
    configure_logging(settings.log_format, level=settings.log_level)
    with (
        database(settings) as engine,
        open_ingestion(settings, engine, follow=True) as ingestion,
    ):
        lease = Lease(engine, watching.LEASE, this_process(), watching.LEASE_SECONDS)
        watcher = watching.Watcher(engine, ingestion, lease, report=rounds.add)
        works = partial(getattr, watcher, "works")
        with (
            watcher_metrics(settings, engine, scorer_of(ingestion), works) as metrics,
            side_jobs(settings, engine, ingestion, rescored=rounds.rescored) as others,
            _traces(settings, engine) as traces,
        ):
            rounds.metrics = metrics
            if traces is not None:
                others = tuple(replace(job, run=traces.around(job.id, job.run)) for job in others)
            if once:
                watching.work_once(watcher, others)
            else:
                watching.watch(watcher, side_jobs=others, on_start=_stop_on_signals)
    if as_json:
        print_json(rounds.numbers())
    elif not rounds.total.polls:
        say("no feed was due, or another watcher works")


@contextmanager
def _traces(settings: Settings, engine: Engine) -> Iterator[Traces | None]:
    """Traces of the jobs beside the feeds, such as deliveries, where an endpoint is set."""
    if settings.otlp_endpoint is None:
        yield None
        return
    from shared.serving.watching.telemetry import Traces

    traces = Traces(settings.otlp_endpoint, service="triptych-watcher")
    traces.watch_database(engine)
    try:
        yield traces
    finally:
        traces.close()


class _Rounds:
    """Adds up what was done, and says so for each round that did something."""

    def __init__(self) -> None:
        from apps.finance.ingest.counts import IngestCounts

        self.rounds = 0
        self.total = IngestCounts()
        self.metrics: WatcherMetrics | None = None

    def rescored(self, stories: int) -> None:
        if self.metrics is not None:
            self.metrics.rescored(stories)

    def add(self, counts: IngestCounts, seconds: float) -> None:
        self.rounds += 1
        self.total += counts
        if self.metrics is not None:
            self.metrics.round(counts, seconds)
        if counts.polls:
            say(
                f"{counts.polls} feeds polled, {counts.errors} failed: {counts.distinct} new"
                f" entries in {counts.stories} stories, {counts.revisions} reworded"
            )

    def numbers(self) -> dict[str, Any]:
        return {"rounds": self.rounds, **asdict(self.total)}


def _stop_on_signals(stop: Callable[[], None]) -> None:
    def on_signal(number: int, frame: Any) -> None:
        say("stopping: the document in hand is finished first")
        stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
