"""Drift as a page asks for it: each comparison is kept, and a tenant sees its own recommender."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from shared.api.drift import DriftOverview
from shared.monitoring.drift import DriftReport, Signal, SignalName, report_of
from shared.monitoring.drift_alerts import keep_report
from shared.monitoring.drift_history import ADVICE, KEPT_CHECKS, drift_of
from shared.serving.guards.keys import create_key
from shared.storage.engine import open_database, reading
from shared.storage.monitoring_tables import drift_history, served_readings
from tests.fakes.assembled_api import assemble
from tests.fakes.served_app import FakeServedApp

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def report(app: str = "support", hours: float = 0, *, effect: float = 0.02) -> DriftReport:
    signal = Signal("labels", effect + 0.1, 0.1, effect, 0.1, 0.01, 0.0004, effect > 0.1)
    return report_of(app, "v1", NOW + timedelta(hours=hours), (800, 300), [signal])


def test_each_comparison_is_kept_in_its_order_and_the_oldest_go(engine: Engine) -> None:
    for hours in range(3):
        keep_report(engine, report(hours=6 * hours, effect=0.1 * hours), alert=False)
    keep_report(engine, report("finance"), alert=False)
    found = drift_of(engine, "support", "v1", every_hours=6, most=2)
    assert [check.at.hour for check in found.checks] == [15, 21]
    assert [check.signals[0].drifted for check in found.checks] == [False, True]
    last = found.checks[-1]
    assert (last.verdict, last.reference, last.live) == ("drift", 800, 300)
    assert (last.signals[0].effect, last.signals[0].floor) == (0.2, 0.1)
    assert last.signals[0].advice == ADVICE["labels"]
    rows = [
        {"app": "support", "version": "v1", "at": NOW, "report": report().as_json()}
        for _ in range(KEPT_CHECKS)
    ]
    with engine.begin() as connection:
        connection.execute(drift_history.insert(), rows)
    keep_report(engine, report(hours=99), alert=False)
    counts = select(drift_history.c.app, func.count()).group_by(drift_history.c.app)
    with reading(engine) as connection:
        kept = dict(connection.execute(counts).all())  # type: ignore[arg-type]
    assert kept == {"support": KEPT_CHECKS, "finance": 1}
    newest = drift_of(engine, "support", "v1", every_hours=6, most=1).checks
    assert newest[0].at == NOW + timedelta(hours=99)


def test_too_little_is_said_with_how_much_there_is(engine: Engine) -> None:
    few = replace(report(), verdict="too few readings", live=2, signals=())
    keep_report(engine, few, alert=False)
    row = {
        "app": "support", "version": "v1", "at": NOW, "label": "a", "confidence": 0.5,
        "vector": b"",
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(served_readings.insert(), [row, row, {**row, "version": "v0"}])
    found = drift_of(engine, "support", "v1", every_hours=0, most=9)
    assert (found.readings, found.needed, found.every_hours) == (2, 150, None)
    assert [(check.verdict, check.signals) for check in found.checks] == [("too few readings", [])]
    assert drift_of(engine, "finance", None, every_hours=6, most=9).checks == []
    with engine.begin() as connection:
        connection.execute(drift_history.delete())  # as it is after a migration
    assert len(drift_of(engine, "support", "v1", every_hours=6, most=9).checks) == 1


def test_every_signal_has_advice() -> None:
    assert set(ADVICE) == set(SignalName.__args__)


def test_a_key_sees_the_apps_of_all_and_its_own_recommender(tmp_path: Path) -> None:
    fake = FakeServedApp()
    fake.name = "recommend"
    api = assemble(tmp_path, served=fake)
    engine = open_database(api.settings.database)
    keep_report(engine, report("recommend", effect=0.3), alert=False)
    keep_report(engine, report("recommend_shop_b"), alert=False)
    shop = create_key(engine, name="b", scopes=["use"], actor="t", now=NOW, tenant="shop-b").secret
    engine.dispose()

    def asked(key: str, query: str = "") -> list[str]:
        answer = client.get(f"/v1/drift{query}", headers={"X-API-Key": key})
        assert answer.status_code == 200, answer.text
        apps = DriftOverview.model_validate(answer.json()).apps
        return [f"{one.app} {one.checks[-1].verdict}" for one in apps]

    with api.client(None) as client:
        assert client.get("/v1/drift").status_code == 401
        assert asked(api.keys["use"]) == ["recommend drift"]
        assert asked(shop) == ["recommend stable"]
        assert asked(shop, "?app=recommend&checks=1") == ["recommend stable"]
        assert asked(shop, "?app=finance") == []
        other = client.get("/v1/drift?tenant=default", headers={"X-API-Key": shop})
        assert other.status_code == 403
