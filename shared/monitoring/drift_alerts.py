"""Drift in the database: the last report of each app, and an alert where it is news.

An alert of drift is a row beside those of the finance monitor's rules, goes to the same targets by
the same deliveries, and is acknowledged and closed in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from shared.monitoring.drift import DriftReport
from shared.monitoring.drift_history import keep_check
from shared.monitoring.outbox import write_deliveries
from shared.serving.watching.stored_gauges import StoredGauge
from shared.storage.engine import reading
from shared.storage.finance_tables import alerts
from shared.storage.inserting import insert_into
from shared.storage.monitoring_tables import drift_checks, served_readings

RULE = "drift"
"""The ``rule_id`` and the kind of alerts of drift."""
COOL_DOWN = timedelta(days=7)
"""So long the same signals of the same version are told only once."""


def keep_report(engine: Engine, report: DriftReport, *, alert: bool = True) -> str | None:
    """Store a report, and with it an alert where it tells news; the alert's id.

    Drift is news where a signal drifts that no alert of this version told of within COOL_DOWN.
    """
    row = {"version": report.version, "at": report.at, "report": report.as_json()}
    with engine.begin() as connection:
        connection.execute(
            insert_into(connection, drift_checks)
            .values(app=report.app, **row)
            .on_conflict_do_update(index_elements=["app"], set_=row)
        )
        keep_check(connection, report)
        if not alert or not report.drifted or not _is_news(connection, report):
            return None
        return _raise_alert(connection, report)


def last_reports(engine: Engine) -> list[dict[str, Any]]:
    """The last report of each app, as JSON keeps it, by app."""
    query = select(drift_checks.c.report).order_by(drift_checks.c.app)
    with reading(engine) as connection:
        return [dict(row.report) for row in connection.execute(query)]


def next_check(engine: Engine, every: timedelta) -> datetime | None:
    """When the next check is due; None where nothing was read that could be checked."""
    with reading(engine) as connection:
        last: list[datetime] = list(connection.scalars(select(drift_checks.c.at)))
        first: datetime | None = connection.scalar(
            select(served_readings.c.at).order_by(served_readings.c.id).limit(1)
        )
    return min(last) + every if last else first


def drift_gauges(engine: Engine, moment: datetime) -> Iterable[StoredGauge]:
    """What Prometheus shows of the last reports."""
    reports = last_reports(engine)
    told: dict[tuple[str, ...], float] = {
        (one["app"], signal["name"]): float(signal["drifted"])
        for one in reports
        for signal in one["signals"]
    }
    values: dict[tuple[str, ...], float] = {
        (one["app"], signal["name"]): float(signal["value"])
        for one in reports
        for signal in one["signals"]
    }
    checked: dict[tuple[str, ...], float] = {
        (one["app"],): datetime.fromisoformat(one["at"]).timestamp() for one in reports
    }
    both = ("app", "signal")
    return (
        StoredGauge("triptych_drift_told", "1 where a signal tells drift", both, told),
        StoredGauge("triptych_drift_value", "What a signal of drift measured", both, values),
        StoredGauge(
            "triptych_drift_checked_timestamp_seconds",
            "When an app was last compared with what its version was made of",
            ("app",),
            checked,
        ),
    )


def _is_news(connection: Connection, report: DriftReport) -> bool:
    query = select(alerts.c.numbers).where(
        alerts.c.rule_id == RULE,
        alerts.c.subject == f"app:{report.app}",
        alerts.c.fired_at > report.at - COOL_DOWN,
    )
    told = {
        name
        for row in connection.execute(query)
        if row.numbers.get("version") == report.version
        for name in row.numbers.get("signals", {})
    }
    return not {signal.name for signal in report.drifted} <= told


def _raise_alert(connection: Connection, report: DriftReport) -> str:
    alert_id = hashlib.blake2b(
        f"{RULE} {report.app} {report.at.isoformat()}".encode(), digest_size=16
    ).hexdigest()
    rule = {"id": RULE, "name": "Drift", "kind": RULE, "scope": f"app:{report.app}"}
    numbers = {
        "version": report.version,
        "readings": report.live,
        "signals": {one.name: round(one.value, 4) for one in report.drifted},
    }
    connection.execute(
        insert(alerts).values(
            id=alert_id,
            rule_id=RULE,
            rule=rule,
            subject=f"app:{report.app}",
            fired_at=report.at,
            numbers=numbers,
            story_ids=[],
            state="open",
            note="",
        )
    )
    write_deliveries(connection, alert_id, message_of(report, alert_id, numbers), report.at)
    return alert_id


def message_of(report: DriftReport, alert_id: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """What targets are told of drift."""
    return {
        "type": "drift.detected",
        "subject_line": f"Drift: {report.app}",
        "lines": [
            f"{report.app} {report.version}, {report.at:%Y-%m-%d %H:%M} UTC",
            f"its last {report.live} readings are not like what it was made of:",
            *(f"- {signal.words}" for signal in report.drifted),
            "look at recent texts; train again with some of them labelled where they are to be"
            f" answered: triptych train {report.app.partition('_')[0]}",
        ],
        "alert": {
            "id": alert_id,
            "subject": f"app:{report.app}",
            "subject_name": report.app,
            "fired_at": report.at.isoformat(),
            "rule": {"id": RULE, "name": "Drift", "kind": RULE},
            "numbers": numbers,
            "stories": [],
        },
    }
