"""Where the finance monitor is wired together for the API. Models load when it starts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter
from sqlalchemy import Engine

from apps.finance.records import StoryScore
from apps.finance.scoring.in_use import ScorerInUse, scorer_in_use
from apps.finance.serving.overview import OverviewService
from apps.finance.serving.router import finance_router
from apps.finance.serving.service import FinanceService
from apps.finance.serving.stored_gauges import finance_gauges
from apps.finance.serving.upkeep import UpkeepService
from apps.finance.training_data import APP
from models.registry import ModelRegistry
from shared.privacy import mask_personal_data
from shared.serving.watching.stored_gauges import ReadGauges
from shared.settings import Settings
from shared.web.connections import Resolve, system_addresses

if TYPE_CHECKING:
    from shared.serving.watching.metrics import Metrics

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present time."""
    return datetime.now(UTC)


class ServedFinance:
    """The finance monitor as the API serves it.

    It is ready without a version too: stories are read, kept and shown, and scored once a version
    is in use; only what needs the model answers 503 until then.
    """

    name = APP

    def __init__(self, router: APIRouter, scorer: ScorerInUse, watched: WatchedScores) -> None:
        self.router = router
        self._watched = watched
        self._scorer = scorer
        self._started = False

    @property
    def ready(self) -> bool:
        """Whether the version in use is loaded, or there is none."""
        return self._scorer.ready or (self._started and self._scorer.last_error is None)

    @property
    def version(self) -> str | None:
        """The version that scores."""
        return self._scorer.version

    @property
    def waiting_for(self) -> str | None:
        """Why the version in use cannot be loaded, where that is so."""
        error = self._scorer.last_error
        return None if error is None else f"the version in use cannot be loaded: {error}"

    def start(self) -> None:
        """Load and warm up the version in use, and follow the registry from here on."""
        self._scorer.start()
        self._started = True

    def stop(self) -> None:
        """Stop following."""
        self._scorer.stop()
        self._started = False

    def refresh(self) -> bool:
        """Score with the version that the registry names now."""
        return self._scorer.refresh()

    def measure(self, metrics: Metrics) -> None:
        """Count what is scored there, and show how far feeds, scores and deliveries are."""
        self._watched.measure(metrics)
        if isinstance(self._scorer, ScorerInUse):
            self._scorer.observer = metrics.batches_of(APP, lambda: self._scorer.waiting)


class WatchedScores:
    """Counts the labels of scored texts, once it has been given metrics."""

    def __init__(self, gauges: ReadGauges) -> None:
        self._gauges = gauges
        self._metrics: Metrics | None = None

    def measure(self, metrics: Metrics) -> None:
        """Count there from now on, and show the gauges."""
        self._metrics = metrics
        metrics.stored(APP, self._gauges)

    def __call__(self, score: StoryScore) -> None:
        """Count one score."""
        if self._metrics is not None:
            self._metrics.reading(APP, score.label, score.probabilities[score.label])


def served_finance(
    settings: Settings,
    engine: Engine,
    registry: ModelRegistry,
    *,
    clock: Clock = utc_now,
    scorer: ScorerInUse | None = None,
    resolve: Resolve = system_addresses,
) -> ServedFinance:
    """The monitor over a database and a registry. Raises SettingsError for bad allowed addresses.

    ``scorer`` stands in for that of the installation, ``resolve`` for the system's name service.
    """
    used = scorer or scorer_in_use(settings, registry, engine)
    watched = WatchedScores(finance_gauges(engine))
    service = FinanceService(
        engine=engine,
        observe=watched,
        scorer=used,
        mask=mask_personal_data,
        clock=clock,
    )
    overview = OverviewService(
        engine=engine, scorer=used, clock=clock, rescore_days=settings.rescore_days
    )
    upkeep = UpkeepService(
        engine=engine, policy=settings.address_policy(), clock=clock, resolve=resolve
    )
    return ServedFinance(finance_router(service, overview, upkeep), used, watched)
