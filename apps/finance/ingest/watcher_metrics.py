"""What the watcher tells Prometheus, on a port of its own where the settings name one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from apps.finance.ingest.counts import IngestCounts
from apps.finance.training_data import APP
from shared.serving.watching.metrics import Metrics

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from apps.finance.scoring.in_use import ScorerInUse
    from shared.settings import Settings

ENTRIES = ("repeats", "distinct", "revisions", "rejected")
"""What an entry of a feed was: known before, new, reworded, or without words."""


class WatchedScorer:
    """The scorer as the metrics see an app."""

    name = APP

    def __init__(self, scorer: ScorerInUse) -> None:
        self._scorer = scorer

    @property
    def ready(self) -> bool:
        """Whether the version in use is loaded; without one, stories are kept unscored."""
        return self._scorer.ready

    @property
    def version(self) -> str | None:
        """The version that scores."""
        return self._scorer.version


class WatcherMetrics:
    """Counts what the watcher does; ``works`` says whether this one holds the lease."""

    def __init__(self, metrics: Metrics, works: Callable[[], bool]) -> None:
        metrics.gauge(
            "triptych_watcher_works", "1 where this process is the watcher that works"
        ).set_function(lambda: float(works()))
        self._rounds = metrics.histogram(
            "triptych_watcher_round_seconds", "Seconds of a round over what was due"
        )
        self._polls = metrics.counter(
            "triptych_feed_polls_total", "Feeds that were asked, by outcome", ["outcome"]
        )
        self._entries = metrics.counter(
            "triptych_feed_entries_total", "Entries that were read, by what they were", ["kind"]
        )
        self._stories = metrics.counter("triptych_feed_stories_total", "Stories that were new")
        self._rescored = metrics.counter(
            "triptych_stories_rescored_total", "Stories scored again after a promotion"
        )

    def round(self, counts: IngestCounts, seconds: float) -> None:
        """Note one round."""
        self._rounds.observe(seconds)
        self._polls.labels("failed").inc(counts.errors)
        self._polls.labels("answered").inc(counts.polls - counts.errors)
        for kind in ENTRIES:
            self._entries.labels(kind).inc(getattr(counts, kind))
        self._stories.inc(counts.stories)

    def rescored(self, stories: int) -> None:
        """Note stories that were scored again."""
        self._rescored.inc(stories)


@contextmanager
def watcher_metrics(
    settings: Settings, engine: Engine, scorer: ScorerInUse, works: Callable[[], bool]
) -> Iterator[WatcherMetrics | None]:
    """Metrics on ``TRIPTYCH_WATCHER_METRICS_PORT`` within it; None, and no port, where it is unset.

    What stands in the database (how far feeds, scores and deliveries are) is shown there, too.
    Raises SettingsError where the port cannot be had.
    """
    port = settings.watcher_metrics_port
    if port is None:
        yield None
        return
    from apps.finance.serving.stored_gauges import finance_gauges
    from shared.monitoring.drift_alerts import drift_gauges
    from shared.serving.watching.metrics_port import metrics_on_port

    metrics = Metrics()
    metrics.serves([WatchedScorer(scorer)])
    metrics.stored(APP, finance_gauges(engine))
    metrics.stored("drift", lambda moment: drift_gauges(engine, moment))
    scorer.observer = metrics.batches_of(APP, lambda: scorer.waiting)
    with metrics_on_port(metrics, port, host=settings.metrics_host):
        yield WatcherMetrics(metrics, works)
