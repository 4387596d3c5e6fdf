"""Where the recommender is wired together for the API and the command line."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from sqlalchemy import Engine

from apps.recommend.events.store import EventStore
from apps.recommend.experiments.impressions import ImpressionLog
from apps.recommend.items.store import ItemStore
from apps.recommend.operations.background import BackgroundRefits, refit_process
from apps.recommend.operations.refit_state import RefitLedger
from apps.recommend.serving.bundles import BundleService, Promote, Refits
from apps.recommend.serving.catalogue import CatalogueService
from apps.recommend.serving.experiments import ExperimentService
from apps.recommend.serving.fitted import Encoding, loaded_bundle, unfitted
from apps.recommend.serving.hot_list import HotListRoute
from apps.recommend.serving.lists import ListService
from apps.recommend.serving.live import LiveTenant, LiveTenants, Load, Unfitted
from apps.recommend.serving.refits import StoredRefits
from apps.recommend.serving.request_reading import RequestReader
from apps.recommend.serving.router import hot_list, recommend_router
from apps.recommend.serving.watched import ListCounter, recommend_gauges
from apps.recommend.tenants import DEFAULT_TENANT, registry_app
from models.promotion import gate_and_promote
from models.registry import ModelRegistry
from shared.serving.hot_path import HotRoute
from shared.serving.watching.stored_gauges import ReadGauges
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.serving.watching.metrics import Metrics

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present time."""
    return datetime.now(UTC)


def drawn_seed() -> int:
    """A seed for a list that was asked for without one."""
    return secrets.randbits(32)


class ServedRecommend:
    """The recommender as the API serves it; its version is the default tenant's bundle.

    It is ready without a bundle too: lists are made of texts and popularity until one is fitted.
    """

    name = registry_app(DEFAULT_TENANT)

    def __init__(
        self,
        router: APIRouter,
        tenants: LiveTenants,
        counter: ListCounter | None = None,
        gauges: ReadGauges | None = None,
        encoding: Encoding | None = None,
        hot: HotListRoute | None = None,
    ) -> None:
        self.router = router
        self._hot = hot
        self._encoding = encoding
        self._counter = counter
        self._gauges = gauges
        self._tenants = tenants
        self._default: LiveTenant | None = None

    @property
    def hot_routes(self) -> Sequence[HotRoute]:
        """The short way to lists."""
        return [] if self._hot is None else [self._hot]

    @property
    def ready(self) -> bool:
        """Whether the default tenant's bundle is loaded, or there is none."""
        live = self._default
        return live is not None and (live.bundle is not None or live.last_error is None)

    @property
    def version(self) -> str | None:
        """The default tenant's bundle."""
        return self._default.bundle if self._default else None

    @property
    def waiting_for(self) -> str | None:
        """Why that bundle cannot be loaded, where that is so."""
        error = self._default.last_error if self._default else None
        return None if error is None else f"the bundle in use cannot be loaded: {error}"

    def start(self) -> None:
        """Load the default tenant's bundle and catalogue, and follow both from here on."""
        live = self._tenants.get(DEFAULT_TENANT)
        if live.bundle is not None:
            live.view()
        self._default = live

    def stop(self) -> None:
        """Stop following, for every tenant."""
        self._tenants.stop()
        self._default = None
        if self._hot is not None:
            self._hot.close()

    def refresh(self) -> bool:
        """Serve the default tenant with the bundle that the registry names now."""
        return self._tenants.refresh(self.name)

    def measure(self, metrics: Metrics) -> None:
        """Count lists and clicks there, and show how old the fits are."""
        if self._counter is not None:
            self._counter.measure(metrics)
        if self._gauges is not None:
            metrics.stored(self.name, self._gauges)
        if (encoding := self._encoding) is not None:
            encoding.observer = metrics.batches_of(self.name, lambda: encoding.waiting)


@dataclass(frozen=True, slots=True)
class Recommender:
    """The services over one database and one registry."""

    tenants: LiveTenants
    lists: ListService
    catalogue: CatalogueService
    bundles: BundleService
    experiments: ExperimentService
    counter: ListCounter
    encoding: Encoding


def recommender(
    settings: Settings,
    engine: Engine,
    registry: ModelRegistry,
    *,
    clock: Clock = utc_now,
    draw: Callable[[], int] = drawn_seed,
    load: Load | None = None,
    unfitted_scorer: Unfitted | None = None,
    promote: Promote | None = None,
    refits: Refits | None = None,
    poll_seconds: float = 0.5,
) -> Recommender:
    """The services; what is left out is that of the installation. Nothing is loaded yet."""
    encoding = Encoding(settings)

    def open_tenant(tenant: str) -> LiveTenant:
        return LiveTenant(
            tenant,
            ItemStore(engine, tenant),
            registry,
            load=load or loaded_bundle(settings, registry, encoding),
            unfitted=unfitted_scorer or unfitted(encoding),
            poll_seconds=poll_seconds,
        )

    tenants = LiveTenants(open_tenant)
    impressions = ImpressionLog(engine)
    readers = lru_cache(maxsize=1_000)(lambda tenant: RequestReader(engine, tenant))
    counter = ListCounter()
    return Recommender(
        tenants=tenants,
        counter=counter,
        encoding=encoding,
        lists=ListService(
            view=lambda tenant, needed=None: tenants.get(tenant).view(needed),
            reader=readers,
            sessions=lambda tenant: EventStore(engine, tenant),
            impressions=impressions,
            clock=clock,
            draw=draw,
            count=counter,
        ),
        catalogue=CatalogueService(
            engine,
            view=lambda tenant: tenants.get(tenant).view(),
            follow=tenants.follow,
            clock=clock,
        ),
        bundles=BundleService(
            engine,
            registry,
            refits=refits or background_refits(settings, engine),
            promote=promote or gate_and_promote,
            on_change=tenants.refresh,
            clock=clock,
        ),
        experiments=ExperimentService(engine, impressions, clock=clock, clicked=counter.clicked),
    )


def served_recommend(
    settings: Settings, engine: Engine, registry: ModelRegistry, **parts: Any
) -> ServedRecommend:
    """The recommender as ``create_app`` takes it; ``parts`` are those of ``recommender``."""
    made = recommender(settings, engine, registry, **parts)
    router = recommend_router(made.catalogue, made.lists, made.bundles, made.experiments)
    gauges = recommend_gauges(engine)
    hot = hot_list(made.lists, settings.serving_threads)
    return ServedRecommend(router, made.tenants, made.counter, gauges, made.encoding, hot)


def background_refits(settings: Settings, engine: Engine) -> Refits:
    """Fits in a process of its own, when asked to."""
    return BackgroundRefits(StoredRefits(engine), RefitLedger(engine), refit_process(settings))
