"""The comparisons of an app over time: kept with each check, read for a page."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select

from shared.api.drift import AppDrift, DriftCheck, DriftSignal
from shared.monitoring.drift import DriftLimits, DriftReport
from shared.monitoring.served_readings import count_readings
from shared.storage.engine import reading
from shared.storage.monitoring_tables import drift_checks, drift_history

KEPT_CHECKS = 400
"""Comparisons kept of an app: a hundred days at four a day."""

NEEDED = DriftLimits().least

ADVICE = {
    "centroid": "Read some of what came lately. A new topic wants a label of its own, another"
    " language or channel data of its own; then train again.",
    "separability": "What comes can be told from what the version was made of. Keep tests and"
    " crawlers out; else label a sample of what comes and train again.",
    "labels": "Other things are asked for than in the training data. Where that is how it is,"
    " train with a sample in the present mix, or close the alert.",
    "confidence": "The model is not as sure as it was when it was made. Label some of what it was"
    " least sure of; after a promotion, compare with the version before.",
    "out_of_scope": "More comes that the model does not know. Look for a new kind of message and"
    " add a label for it, or keep it out.",
    "behaviour": "People do other things than when the bundle was fitted: a season, a sale, or"
    " events that do not arrive. Check the events, then fit again.",
    "unknown_items": "Many events are on items that the bundle has not seen: fit again, and more"
    " often.",
}
"""What to do where a signal tells drift, by its name."""


def keep_check(connection: Connection, report: DriftReport) -> None:
    """Add a comparison to those of its app; the oldest beyond KEPT_CHECKS go."""
    row = {"app": report.app, "version": report.version, "at": report.at}
    connection.execute(insert(drift_history).values(**row, report=report.as_json()))
    table = drift_history.c
    oldest = (
        select(table.id)
        .where(table.app == report.app)
        .order_by(table.id.desc())
        .offset(KEPT_CHECKS)
        .limit(1)
    )
    if (last := connection.scalar(oldest)) is not None:
        connection.execute(delete(drift_history).where(table.app == report.app, table.id <= last))


def drift_of(
    engine: Engine,
    app: str,
    version: str | None,
    *,
    every_hours: float,
    most: int,
    needed: int = NEEDED,
) -> AppDrift:
    """How an app stands, with its newest ``most`` comparisons.

    ``app`` is the registry's name: a tenant's recommender is told under the app's own.
    ``every_hours`` 0 means that nobody compares by itself.
    """
    query = (
        select(drift_history.c.report)
        .where(drift_history.c.app == app)
        .order_by(drift_history.c.id.desc())
        .limit(most)
    )
    last = select(drift_checks.c.report).where(drift_checks.c.app == app)
    with reading(engine) as connection:
        # A database that was migrated knows the last comparison before it kept a history.
        reports = connection.scalars(query).all() or connection.scalars(last).all()
    name = app.partition("_")[0]
    readings = None
    if name != "recommend":
        readings = count_readings(engine).get((app, version or ""), 0)
    return AppDrift(
        app=name,
        version=version,
        readings=readings,
        needed=needed,
        every_hours=every_hours or None,
        checks=[_check(report) for report in reversed(reports)],
    )


def _check(report: dict[str, Any]) -> DriftCheck:
    return DriftCheck(
        version=report["version"],
        at=report["at"],
        verdict=report["verdict"],
        reference=report["reference"],
        live=report["live"],
        signals=[
            DriftSignal(
                name=one["name"],
                value=one["value"],
                by_chance=one["by_chance"],
                effect=one["effect"],
                floor=one["floor"],
                p_value=one["adjusted"],
                drifted=one["drifted"],
                words=one["words"],
                advice=ADVICE[one["name"]],
            )
            for one in report["signals"]
        ],
    )
