"""Drift from readings to a signed webhook: the ring, the alert, the schedule over processes."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, func, insert, select

from apps.finance.alerts.store import AlertStore
from apps.finance.alerts.targets import TargetStore
from apps.finance.scoring.watched_model import WatchedModel
from apps.recommend.operations.drift import (
    behaviour_window,
    compare_behaviour,
    events_around,
)
from shared.monitoring.delivery import deliver_due
from shared.monitoring.drift import DriftLimits, Signal, report_of
from shared.monitoring.drift_alerts import drift_gauges, keep_report, last_reports
from shared.monitoring.drift_schedule import LEASE, DriftSchedule
from shared.monitoring.mail import MailSettings
from shared.monitoring.senders import alert_senders
from shared.monitoring.served_readings import ReadingRecorder, count_readings, live_window
from shared.monitoring.webhook import SIGNATURE_HEADER
from shared.storage.engine import open_database
from shared.storage.leases import Lease
from shared.storage.monitoring_tables import served_readings
from shared.storage.recommend_tables import behaviour_events
from shared.web.addresses import AddressPolicy
from tests.fakes.predictor import KeywordPredictor
from tests.fakes.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
LOCAL = AddressPolicy(("127.0.0.1",))


def note(recorder: ReadingRecorder, number: int, version: str = "v1") -> None:
    recorder.add(
        version=version,
        label=f"label {number}",
        confidence=0.5,
        in_scope_score=None,
        vector=np.full(4, number, dtype=np.float32),
    )


def recorder_of(engine: Engine, **options: object) -> ReadingRecorder:
    settings = {"clock": lambda: NOW, "interval_seconds": 60.0, "seed": 0} | options
    return ReadingRecorder(engine, "support", **settings)  # type: ignore[arg-type]


def test_the_ring_keeps_the_newest_and_no_text(engine: Engine) -> None:
    recorder = recorder_of(engine, kept=30)
    for batch in range(5):
        for number in range(20):
            note(recorder, 20 * batch + number)
        recorder.flush()
    recorder.close()
    window = live_window(engine, "support", "v1", most=100)
    assert [int(vector[0]) for vector in window.vectors] == list(range(99, 69, -1))
    assert count_readings(engine) == {("support", "v1"): 30}
    assert {column.name for column in served_readings.columns} == {
        "id", "app", "version", "at", "label", "confidence", "in_scope_score", "vector",
    }  # fmt: skip


def test_what_is_noted_is_a_sample_of_the_whole_interval(engine: Engine) -> None:
    recorder = recorder_of(engine, sampled=40)
    for number in range(4_000):
        note(recorder, number % 1_000 if number < 1_000 else 2_000)
    assert recorder.flush() == 40
    recorder.close()
    kept = live_window(engine, "support", "v1", most=100).vectors[:, 0]
    # A quarter came from the first thousand: 10 of 40, with a standard deviation of 2.7.
    assert 2 <= np.count_nonzero(kept < 1_000) <= 20


def test_several_processes_write_one_ring(database_url: str) -> None:
    engines = [open_database(database_url) for _ in range(3)]
    recorders = [recorder_of(engine, seed=place) for place, engine in enumerate(engines)]

    def work(recorder: ReadingRecorder) -> None:
        for number in range(60):
            note(recorder, number)
            if number % 20 == 19:
                recorder.flush()

    threads = [threading.Thread(target=work, args=(one,)) for one in recorders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for recorder, engine in zip(recorders, engines, strict=True):
        recorder.close()
        engine.dispose()
    engine = open_database(database_url)
    assert count_readings(engine) == {("support", "v1"): 180}
    engine.dispose()


def test_a_database_that_is_gone_holds_nobody_up(sqlite_engine: Engine) -> None:
    recorder = recorder_of(sqlite_engine)
    with sqlite_engine.begin() as connection:
        served_readings.drop(connection)
    note(recorder, 1)
    recorder.close()  # logs, and does not raise
    note(recorder, 2)  # nothing is noted after the end
    assert recorder.flush() == 0


def drifted(at: datetime, *names: str, app: str = "support"):  # type: ignore[no-untyped-def]
    signals = [
        Signal(name, 0.9, 0.1, 0.8, 0.1, 0.0001, 0.0005, name in names)  # type: ignore[arg-type]
        for name in ("labels", "out_of_scope")
    ]
    return report_of(app, "v1", at, (800, 300), signals)


def test_drift_arrives_at_the_targets_of_alerts_signed_and_once(engine: Engine) -> None:
    with webhook_receiver() as receiver:
        TargetStore(engine).add(
            channel="webhook", address=receiver.url, policy=LOCAL, author="ada", now=NOW
        )
        first = keep_report(engine, drifted(NOW, "labels"))
        again = keep_report(engine, drifted(NOW + timedelta(hours=6), "labels"))
        more = keep_report(engine, drifted(NOW + timedelta(hours=7), "labels", "out_of_scope"))
        assert first is not None
        assert again is None  # the same signal of the same version is no news
        assert more is not None
        receiver.answers = [(503, {})]  # the first attempt fails: it is tried again
        with alert_senders(LOCAL, MailSettings(host=None)) as senders:
            deliver_due(engine, NOW + timedelta(hours=8), senders)
            counts = deliver_due(engine, NOW + timedelta(hours=9), senders)
        assert counts.delivered >= 1
        bodies = [json.loads(event.body) for event in receiver.received]
        assert {body["alert"]["id"] for body in bodies} == {first, more}
        assert all(event.signature.startswith("t=") for event in receiver.received)
        assert SIGNATURE_HEADER
        told = next(body for body in bodies if body["alert"]["id"] == more)
        assert told["type"] == "drift.detected"
        assert any("90% look unlike the training data" in line for line in told["lines"])
    alert = AlertStore(engine).get(more, now=NOW + timedelta(days=1))
    assert alert.deliveries[0].delivered_at is not None
    closed = AlertStore(engine).close(more, author="ada", now=NOW + timedelta(days=1))
    assert closed.state == "closed"


def test_gauges_say_what_the_last_check_found(engine: Engine) -> None:
    keep_report(engine, drifted(NOW, "labels"))
    gauges = {gauge.name: gauge.values for gauge in drift_gauges(engine, NOW)}
    assert gauges["triptych_drift_told"] == {
        ("support", "labels"): 1.0,
        ("support", "out_of_scope"): 0.0,
    }
    keep_report(engine, drifted(NOW + timedelta(hours=1)))
    assert {one["verdict"] for one in last_reports(engine)} == {"stable"}


def test_of_several_processes_one_checks(engine: Engine) -> None:
    runs: list[int] = []

    def run() -> int:
        runs.append(1)
        keep_report(engine, drifted(NOW))
        return 0

    every = timedelta(hours=6)
    clock = {"now": NOW}
    schedules = [
        DriftSchedule(engine, every, run, clock=lambda: clock["now"], holder=f"process {number}")
        for number in range(4)
    ]
    assert not any(schedule.look() for schedule in schedules)  # nothing was read yet
    recorder = recorder_of(engine)
    note(recorder, 1)
    recorder.close()
    assert [schedule.look() for schedule in schedules] == [True, False, False, False]
    clock["now"] = NOW + timedelta(hours=6, minutes=1)
    held = Lease(engine, LEASE, "another", 600)
    assert held.acquire(clock["now"])
    assert not any(schedule.look() for schedule in schedules)
    held.release()
    assert schedules[1].look()
    assert len(runs) == 2


def test_a_story_counts_once_however_many_companies_it_names(sqlite_engine: Engine) -> None:
    recorder = recorder_of(sqlite_engine)
    model = WatchedModel(KeywordPredictor(), recorder)
    model.probabilities(["warm up"])
    texts = ["track my parcel and refund money", "refund money", "[ parcel ] where", "cancel it"]
    found = model.probabilities(texts)
    assert found == pytest.approx(KeywordPredictor().probabilities(texts))
    recorder.close()
    with sqlite_engine.connect() as connection:
        labels = list(connection.scalars(select(served_readings.c.label)))
    assert labels == [KeywordPredictor().predict([text])[0].label for text in (texts[0], texts[3])]


def add_behaviour(engine: Engine, random: np.random.Generator, at: datetime, kinds: list[str],
                  items: list[str]) -> None:  # fmt: skip
    with engine.begin() as connection:
        first = connection.scalar(select(func.count()).select_from(behaviour_events)) or 0
        rows = [
            {
                "tenant": "default", "id": f"event {first + number}",
                "user_id": f"user {random.integers(60)}", "item_id": str(random.choice(items)),
                "type": str(random.choice(kinds)), "at": at, "weight": 1.0, "strength": 1.0,
                "seq": first + number, "received_at": at,
            }
            for number in range(400)
        ]  # fmt: skip
        connection.execute(insert(behaviour_events), rows)


def test_the_recommender_tells_of_other_behaviour(engine: Engine) -> None:
    random = np.random.default_rng(1)
    items = [f"item {number}" for number in range(50)]
    add_behaviour(engine, random, NOW, ["view", "view", "purchase"], items)
    add_behaviour(engine, random, NOW + timedelta(days=2), ["view", "view", "purchase"], items)
    known, fitted = frozenset(items), NOW + timedelta(days=1)

    def told() -> set[str]:
        sides = [behaviour_window(one, known) for one in events_around(engine, "default", fitted)]
        signals = compare_behaviour(sides[0], sides[1], DriftLimits(), seed=0)
        assert len(signals) == 2
        return {signal.name for signal in signals if signal.drifted}

    assert told() == set()
    add_behaviour(engine, random, NOW + timedelta(days=3), ["purchase"], ["new 1", "new 2"])
    assert told() == {"behaviour", "unknown_items"}


def test_the_command_checks_an_installation_without_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.cli import main

    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path))
    monkeypatch.delenv("TRIPTYCH_DATABASE_URL", raising=False)
    result = CliRunner().invoke(main, ["drift", "check", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"reports": []}
