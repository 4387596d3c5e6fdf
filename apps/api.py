"""``create_app``: one ASGI application of every app, wired to one database and one registry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from fastapi import FastAPI
from sqlalchemy import Engine

from apps.model_routes import Promote, model_routes
from apps.recommend.tenants import registry_app
from models.promotion import gate_and_promote
from models.promotion_audit import audited_registry
from models.registry import ModelRegistry
from shared.monitoring.drift_alerts import drift_gauges
from shared.monitoring.drift_schedule import DriftSchedule, drift_process
from shared.serving.application import build_api
from shared.serving.guards.audit_routes import audit_routes
from shared.serving.guards.auth import Authenticator, utc_now
from shared.serving.guards.limits import MEBIBYTE
from shared.serving.guards.rate_limits import RateLimits
from shared.serving.served import Refreshes, ServedApp
from shared.serving.watching.drift_routes import drift_routes
from shared.serving.watching.metrics import Metrics
from shared.serving.watching.telemetry import Traces
from shared.settings import Settings
from shared.storage.engine import open_database

LOGGER = logging.getLogger(__name__)

UPLOADS = {
    "/v1/support/check": 8 * MEBIBYTE,
    "/v1/recommend/items": 32 * MEBIBYTE,
    "/v1/recommend/events": 4 * MEBIBYTE,
}
"""Paths that take files or many lines, and the bytes that they take."""

SLOW = ("/check", "/explain", "/intents", "/promote", "/recommend/items", "/rollback")
"""Ends of paths whose work takes long: training, the gate, attributions, large uploads."""

MakeServed = Callable[[Settings, Engine, ModelRegistry], ServedApp]


def support_desk(settings: Settings, engine: Engine, registry: ModelRegistry) -> ServedApp:
    """The support desk, imported when an application is made."""
    from apps.support.bootstrap import served_support

    return served_support(settings, engine, registry)


def finance_monitor(settings: Settings, engine: Engine, registry: ModelRegistry) -> ServedApp:
    """The finance monitor, imported when an application is made."""
    from apps.finance.bootstrap import served_finance

    return served_finance(settings, engine, registry)


def recommender(settings: Settings, engine: Engine, registry: ModelRegistry) -> ServedApp:
    """The recommender, imported when an application is made."""
    from apps.recommend.bootstrap import served_recommend

    return served_recommend(settings, engine, registry)


def create_app(
    settings: Settings,
    *,
    require_keys: bool,
    loopback_only: bool = False,
    served: tuple[MakeServed, ...] = (support_desk, finance_monitor, recommender),
    promote: Promote = gate_and_promote,
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """The application. The database is opened now and closed when the application stops.

    Models load when the application starts, in the background. ``loopback_only`` belongs to a
    server without keys. Raises StorageError when the database cannot be opened, SettingsError for
    a rate or an origin that is none.
    """
    from apps.recommend.serving.router import tenant_of

    traces = Traces(settings.otlp_endpoint) if settings.otlp_endpoint else None
    engine = open_database(settings.database)
    if traces is not None:
        traces.watch_database(engine)
    try:
        limits = RateLimits(settings.rate_limit, guesses=settings.guess_limit)
        registry = audited_registry(settings, engine)
        apps = [make(settings, engine, registry) for make in served]
        models = model_routes(
            registry,
            [app.name for app in apps],
            promote=promote,
            on_change=lambda name: refresh(apps, name),
            clock=clock,
        )
        metrics = Metrics()
        metrics.stored("drift", lambda moment: drift_gauges(engine, moment))
        drift = DriftSchedule(
            engine, timedelta(hours=settings.drift_hours), drift_process(settings)
        )
        return build_api(
            served=apps,
            extra_routers=[
                models,
                audit_routes(engine),
                drift_routes(
                    engine,
                    apps_of=lambda tenant: registry_names(apps, tenant),
                    tenant_of=tenant_of,
                    in_use=registry.in_use,
                    every_hours=settings.drift_hours,
                ),
            ],
            authenticator=Authenticator(engine, require_keys, clock=clock, limits=limits),
            body_limits=UPLOADS,
            loopback_only=loopback_only,
            on_start=[drift.start] if settings.drift_hours else [],
            on_close=[drift.stop, engine.dispose],
            metrics=metrics,
            traces=traces,
            metrics_address=(
                (settings.metrics_host, settings.metrics_port) if settings.metrics_port else None
            ),
            times={
                "request_seconds": settings.request_seconds,
                "upload_seconds": settings.upload_seconds,
            },
            slow=SLOW,
            origins=settings.cors_origins,
        )
    except BaseException:
        engine.dispose()
        raise


def registry_names(apps: Sequence[ServedApp], tenant: str) -> list[str]:
    """What the registry calls the apps of a tenant: its own recommender, and those of all."""
    return [registry_app(tenant) if app.name == "recommend" else app.name for app in apps]


def refresh(apps: Sequence[ServedApp], name: str) -> None:
    """Let the app of that name serve its new version now, not only when it looks again.

    A version that does not load is the app's to report; the promotion stands.
    """
    for app in apps:
        if app.name == name and isinstance(app, Refreshes):
            try:
                app.refresh()
            except Exception:
                LOGGER.exception("%s could not load the version that was put in use", name)
