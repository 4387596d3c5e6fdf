"""The drift check of each app, wired to an installation."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from models.registry import ModelRegistry, ModelVersion
from shared.monitoring.drift import (
    MOST_COMPARED,
    DriftLimits,
    DriftReport,
    compare_readings,
    report_of,
)
from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

APPS = ("support", "finance", "recommend")


def check_app(
    app: str,
    engine: Engine,
    registry: ModelRegistry,
    settings: Settings,
    limits: DriftLimits,
    *,
    now: datetime,
) -> list[DriftReport]:
    """The reports of an app: none without a version in use, one a tenant for the recommender."""
    if app == "recommend":
        return check_tenants(engine, registry, limits, now=now)
    used = registry.in_use(app)
    if used is None:
        return []
    return [check_readings(registry.get(app, used), engine, registry, settings, limits, now=now)]


def check_readings(
    version: ModelVersion,
    engine: Engine,
    registry: ModelRegistry,
    settings: Settings,
    limits: DriftLimits,
    *,
    now: datetime,
) -> DriftReport:
    """Compare what the version read lately with its validation texts.

    The version is loaded only where it has read enough.
    """
    from models.drift_reference import reference_of
    from shared.monitoring.served_readings import live_window

    live = live_window(engine, version.app, version.name, most=MOST_COMPARED)
    if len(live) < limits.least:
        return report_of(version.app, version.name, now, (0, len(live)), ())
    reference = reference_of(registry, version, settings)
    seed = int(now.timestamp()) % 2**31
    signals = compare_readings(reference, live, limits, seed=seed)
    return report_of(version.app, version.name, now, (len(reference), len(live)), signals)


def check_tenants(
    engine: Engine, registry: ModelRegistry, limits: DriftLimits, *, now: datetime
) -> list[DriftReport]:
    """Compare what each tenant's users do with what its bundle was fitted on."""
    from apps.recommend.operations.drift import (
        behaviour_window,
        compare_behaviour,
        events_around,
    )
    from apps.recommend.operations.refit_state import RefitLedger
    from apps.recommend.tenants import registry_app

    reports = []
    for tenant in RefitLedger(engine).tenants():
        app = registry_app(tenant)
        used = registry.in_use(app)
        if used is None:
            continue
        bundle = registry.get(app, used)
        known = frozenset(
            json.loads((bundle.folder / "items.json").read_text(encoding="utf-8"))["ids"]
        )
        before, since = events_around(engine, tenant, bundle.created_at)
        reference, live = behaviour_window(before, known), behaviour_window(since, known)
        signals = compare_behaviour(reference, live, limits, seed=int(now.timestamp()) % 2**31)
        reports.append(report_of(app, used, now, (len(reference), len(live)), signals))
    return reports
