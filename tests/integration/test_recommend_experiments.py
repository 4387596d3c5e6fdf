"""Experiments, lists that were shown, and clicks, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, func, select

from apps.recommend.experiments.assignment import Arm
from apps.recommend.experiments.impressions import ImpressionLog
from apps.recommend.experiments.results import results
from apps.recommend.experiments.store import ExperimentStore
from apps.recommend.forgetting import forget
from shared.errors import Conflict, DataError, NotFound
from shared.storage.engine import reading
from shared.storage.recommend_tables import clicks, impressions
from shared.storage.tables import audit_log

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ARMS = (Arm("plain", 0.5), Arm("varied", 0.5, {"diversity": 0.4}))


def count(engine: Engine, table: object) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]


def test_an_experiment_is_kept_as_it_was_made_and_stops_once(engine: Engine) -> None:
    store = ExperimentStore(engine, "default")
    made = store.create("  Diversity ", ARMS, author="Ann", now=NOW)
    assert made.name == "Diversity"
    assert store.get(made.id) == made
    assert store.running() == made
    stopped = store.stop(made.id, author="Bo", now=NOW + MINUTE)
    assert (stopped.state, stopped.stopped_at) == ("stopped", NOW + MINUTE)
    assert store.running() is None
    with pytest.raises(Conflict, match="has stopped already"):
        store.stop(made.id, author="Bo", now=NOW)
    with reading(engine) as connection:
        told = connection.execute(select(audit_log.c.actor, audit_log.c.action)).all()
    assert told == [("Ann", "experiment_started"), ("Bo", "experiment_stopped")]


def test_what_makes_no_experiment_is_not_kept(engine: Engine) -> None:
    store = ExperimentStore(engine, "default")
    for name, arms in (("  ", ARMS), ("x" * 121, ARMS), ("one arm", ARMS[:1])):
        with pytest.raises(DataError):
            store.create(name, arms, author="Ann", now=NOW)
    assert store.list() == ()
    assert count(engine, audit_log) == 0


def test_the_newest_that_runs_decides(engine: Engine) -> None:
    store, log = ExperimentStore(engine, "default"), ImpressionLog(engine)
    assert log.assignment("default", "ann") is None
    older = store.create("Older", ARMS, author="Ann", now=NOW)
    newer = store.create("Newer", ARMS, author="Ann", now=NOW + MINUTE)
    assert store.list() == (newer, older)
    found = log.assignment("default", "ann")
    assert found == newer.assignment("ann")
    store.stop(newer.id, author="Ann", now=NOW + 2 * MINUTE)
    assert log.assignment("default", "ann") == older.assignment("ann")


def test_a_tenant_sees_nothing_of_another(engine: Engine) -> None:
    ours, theirs = ExperimentStore(engine, "ours"), ExperimentStore(engine, "theirs")
    log = ImpressionLog(engine)
    made = ours.create("Ours", ARMS, author="Ann", now=NOW)
    shown = log.shown("ours", "ann", ["a", "b"], made.assignment("ann"), NOW)
    assert theirs.list() == ()
    assert log.assignment("theirs", "ann") is None
    for call in (
        lambda: theirs.get(made.id),
        lambda: theirs.stop(made.id, author="Eve", now=NOW),
        lambda: theirs.remove(made.id, author="Eve", now=NOW),
        lambda: results(engine, "theirs", made.id),
        lambda: log.clicked("theirs", shown, "a", NOW),
    ):
        with pytest.raises(NotFound):
            call()
    assert ours.get(made.id) == made


def test_lists_with_a_click_are_counted_once_in_their_arm(engine: Engine) -> None:
    store, log = ExperimentStore(engine, "default"), ImpressionLog(engine)
    experiment = store.create("Diversity", ARMS, author="Ann", now=NOW)
    users = [f"user-{number}" for number in range(40)]
    expected = {arm.name: [0, 0] for arm in ARMS}
    for place, user in enumerate(users):
        assigned = log.assignment("default", user)
        assert assigned is not None
        for _ in range(2):
            shown = log.shown("default", user, ["a", "b", "c"], assigned, NOW)
            expected[assigned.arm][0] += 1
        if place % 3 == 0:
            assert log.clicked("default", shown, "b", NOW)
            assert log.clicked("default", shown, "c", NOW)
            assert not log.clicked("default", shown, "b", NOW + MINUTE)
            expected[assigned.arm][1] += 1
    outside = log.shown("default", "somebody", ["a"], None, NOW)
    assert log.clicked("default", outside, "a", NOW)
    told = results(engine, "default", experiment.id)
    assert told.experiment == experiment
    assert {arm.name: [arm.counts.impressions, arm.counts.clicked] for arm in told.arms} == expected
    assert sum(arm.counts.users for arm in told.arms) == len(users)
    assert all(expected.values())


def test_a_click_on_what_was_not_shown_is_refused(engine: Engine) -> None:
    log = ImpressionLog(engine)
    shown = log.shown("default", "ann", ["a"], None, NOW)
    with pytest.raises(NotFound, match="did not hold the item 'b'"):
        log.clicked("default", shown, "b", NOW)
    with pytest.raises(NotFound, match="no list nowhere was shown"):
        log.clicked("default", "nowhere", "a", NOW)
    with engine.begin() as connection:
        connection.execute(delete(impressions).where(impressions.c.id == shown))
    with pytest.raises(NotFound):
        log.clicked("default", shown, "a", NOW)
    assert count(engine, clicks) == 0


def test_a_list_made_before_its_user_was_forgotten_is_not_kept(engine: Engine) -> None:
    log = ImpressionLog(engine)
    shown = log.shown("default", "ann", ["a"], None, NOW)
    assert shown is not None
    assert log.clicked("default", shown, "a", NOW)
    forget(engine, "default", "ann", NOW + MINUTE)
    late = log.shown("default", "ann", ["a"], None, NOW + 2 * MINUTE, since=NOW)
    assert late is None
    with pytest.raises(NotFound):
        log.clicked("default", shown, "a", NOW + 2 * MINUTE)
    assert (count(engine, impressions), count(engine, clicks)) == (0, 0)
    assert log.shown("default", "bo", ["a"], None, NOW + 2 * MINUTE, since=NOW)
    assert log.shown("default", "ann", ["a"], None, NOW + 3 * MINUTE)  # she came back


def test_of_many_clicks_at_once_one_counts(engine: Engine) -> None:
    log, counted = ImpressionLog(engine), []
    shown = log.shown("default", "ann", ["a"], None, NOW)
    barrier = threading.Barrier(6)

    def click() -> None:
        barrier.wait()
        counted.append(log.clicked("default", shown, "a", NOW))

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counted) == [False] * 5 + [True]
    assert count(engine, clicks) == 1


def test_an_experiment_is_removed_with_its_counts_once_it_has_stopped(engine: Engine) -> None:
    store, log = ExperimentStore(engine, "default"), ImpressionLog(engine)
    gone = store.create("Gone", ARMS, author="Ann", now=NOW)
    kept = store.create("Kept", ARMS, author="Ann", now=NOW)
    for experiment in (gone, kept):
        shown = log.shown("default", "ann", ["a"], experiment.assignment("ann"), NOW)
        log.clicked("default", shown, "a", NOW)
    with pytest.raises(Conflict, match="stop it before"):
        store.remove(gone.id, author="Ann", now=NOW)
    store.stop(gone.id, author="Ann", now=NOW)
    store.remove(gone.id, author="Ann", now=NOW)
    assert store.list() == (kept,)
    assert (count(engine, impressions), count(engine, clicks)) == (1, 1)
    assert sum(arm.counts.clicked for arm in results(engine, "default", kept.id).arms) == 1
