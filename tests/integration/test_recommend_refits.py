"""Refits against a database and a registry: whole ones, failed ones, killed ones."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as hour
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from apps.recommend.forgetting import forget
from apps.recommend.operations.background import BackgroundRefits
from apps.recommend.operations.nightly import RefitRounds, serve_refits
from apps.recommend.operations.refit import TRIES, Refit, RefitReport
from apps.recommend.operations.refit_state import GIVEN_UP, INTERRUPTED, RefitLedger, RefitState
from apps.recommend.serving.refits import StoredRefits
from models.registry import ModelRegistry, ModelVersion
from shared.errors import TrainingError
from shared.serving.version_in_use import VersionInUse
from shared.storage.engine import open_database, reading
from shared.storage.leases import Lease
from shared.storage.tables import audit_log
from tests.fakes.bundle_fitting import NOW, BundleFitting, Gate, fill, users_of

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
HOUR = timedelta(hours=1)


@dataclass
class HandClock:
    """Moves one second on each time it is read."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass
class Installation:
    """One process's refits, with what they are made of."""

    engine: Engine
    registry: ModelRegistry
    fit: BundleFitting
    gate: Gate
    clock: HandClock
    ledger: RefitLedger
    refit: Refit

    @property
    def rounds(self) -> RefitRounds:
        return RefitRounds(self.ledger, self.refit, author="rounds")

    def run(self, tenant: str = "default") -> RefitReport:
        return self.refit.run(tenant, author="Ann")


def installed(engine: Engine, models: Path, holder: str = "one") -> Installation:
    registry = ModelRegistry(models)
    fit, gate, clock = BundleFitting(registry), Gate(), HandClock()
    refit = Refit(engine, registry, fit, gate, holder=holder, clock=clock, keep=2)
    return Installation(engine, registry, fit, gate, clock, RefitLedger(engine), refit)


@pytest.fixture
def here(engine: Engine, tmp_path: Path) -> Installation:
    return installed(engine, tmp_path / "models")


# One refit


def test_a_refit_reads_fits_and_puts_its_bundle_in_use(here: Installation) -> None:
    fill(here.engine)
    report = here.run()
    assert (report.outcome, report.events) == ("promoted", 4)
    assert here.registry.in_use("recommend") == report.version
    assert users_of(here.registry.get("recommend")) == ["ann", "bo"]
    state = here.ledger.read("default")
    assert not state.unfinished
    assert (state.error, state.events) == (None, 4)
    with reading(here.engine) as connection:
        (line,) = connection.execute(select(audit_log.c.actor, audit_log.c.details))
    assert (line.actor, line.details["version"]) == ("Ann", report.version)


def test_a_worse_bundle_leaves_the_one_before_in_use_and_says_why(here: Installation) -> None:
    fill(here.engine)
    first = here.run()
    here.gate.allowed = False
    second = here.run()
    assert (second.outcome, second.version in here.gate.compared) == ("refused", True)
    assert "recall@10 .05 against .08" in second.reason
    assert here.registry.in_use("recommend") == first.version
    assert here.registry.get("recommend", second.version).name == second.version
    assert here.ledger.read("default").error == second.reason


@pytest.mark.parametrize("error", [TrainingError("no memory"), ZeroDivisionError("division")])
def test_a_failed_fit_is_told_and_the_next_one_runs(here: Installation, error: Exception) -> None:
    fill(here.engine)
    first = here.run()

    def fail() -> None:
        raise error

    here.fit.during = fail
    report = here.run()
    assert report.outcome == "failed"
    assert str(error) in report.reason
    assert here.ledger.read("default").error == report.reason
    assert here.registry.in_use("recommend") == first.version
    here.fit.during = lambda: None
    assert here.run().outcome == "promoted"
    assert here.ledger.read("default").error is None


def test_without_items_or_events_there_is_nothing_to_fit_on(here: Installation) -> None:
    assert "load items first" in here.run().reason
    fill(here.engine, users=())
    assert "load events first" in here.run().reason
    assert here.fit.fitted == []


def test_each_tenant_has_its_own_bundles_and_state(here: Installation) -> None:
    fill(here.engine, "north")
    fill(here.engine, "south-2", users=("cy",))
    north, south = here.run("north"), here.run("south-2")
    assert users_of(here.registry.get("recommend_north")) == ["ann", "bo"]
    assert users_of(here.registry.get("recommend_south_2")) == ["cy"]
    assert here.registry.in_use("recommend") is None
    assert north.version != south.version
    assert here.ledger.read("default") == RefitState("default")


def test_a_user_who_is_forgotten_while_it_is_fitted_is_not_in_the_bundle(
    here: Installation,
) -> None:
    fill(here.engine)
    here.fit.during = lambda: here.fit.fitted or forget(here.engine, "default", "bo", NOW)
    report = here.run()
    assert users_of(here.registry.get("recommend")) == ["ann"]
    assert report.version == here.registry.in_use("recommend")
    assert [events for _, events, _ in here.fit.fitted] == [4, 2]


def test_where_somebody_is_always_forgotten_the_next_refit_is_wished_for(
    here: Installation,
) -> None:
    fill(here.engine)
    here.fit.during = lambda: forget(here.engine, "default", "somebody", NOW)
    assert here.run().outcome == "promoted"
    assert len(here.fit.fitted) == TRIES
    assert here.ledger.read("default").wished


def test_old_bundles_go_and_a_roll_back_still_finds_the_one_before(here: Installation) -> None:
    fill(here.engine)
    reports = [here.run() for _ in range(6)]
    stored = [version.name for version in here.registry.versions("recommend")]
    assert stored == [report.version for report in reversed(reports[-3:])]
    back = here.registry.rollback("recommend", author="Ann", now=NOW)
    assert back.version == reports[-2].version
    assert sorted(path.name for path in (here.registry.root / "recommend").iterdir()) == [
        "promotions.jsonl",
        "promotions.lock",
        "versions",
    ]


def test_what_killed_processes_left_goes_after_a_day(here: Installation) -> None:
    fill(here.engine)
    here.run()
    app = here.registry.root / "recommend"
    for name, age in (
        (".incoming-old", 25 * HOUR),
        (".removed-old", 25 * HOUR),
        (".incoming-new", HOUR),
    ):
        (app / name).mkdir()
        (app / name / "weights").write_text("half")
        moment = (here.clock.now - age).timestamp()
        os.utime(app / name, (moment, moment))
    here.run()
    assert [path.name for path in app.glob(".*")] == [".incoming-new"]
    assert len(here.registry.versions("recommend")) == 2


# Several processes


def test_while_one_fits_another_is_told_so(here: Installation, tmp_path: Path) -> None:
    fill(here.engine)
    other = installed(here.engine, tmp_path / "models", "two")
    told: list[RefitReport] = []
    here.fit.during = lambda: told.append(other.run())
    assert here.run().outcome == "promoted"
    assert [report.outcome for report in told] == ["busy"]
    assert other.fit.fitted == []
    assert other.run().outcome == "promoted"


def test_one_that_slept_through_its_lease_promotes_nothing(here: Installation) -> None:
    fill(here.engine)
    first = here.run()
    refit = Refit(
        here.engine,
        here.registry,
        here.fit,
        here.gate,
        holder="sleeper",
        clock=here.clock,
        lease_seconds=0.3,
    )

    def lose_the_lease() -> None:
        other = Lease(here.engine, "recommend.refit:default", "other", 60)
        while not other.acquire(here.clock.now + HOUR):  # an hour later it has ended
            time.sleep(0.01)
        time.sleep(0.5)

    here.fit.during = lose_the_lease
    report = refit.run("default", author="Ann")
    assert report.outcome == "failed"
    assert "took over" in report.reason
    assert here.registry.in_use("recommend") == first.version
    assert here.ledger.read("default").unfinished  # the other's to end


# Wishes


def test_a_wish_is_served_once(here: Installation) -> None:
    fill(here.engine)
    assert here.rounds.fit_what_is_due() == ()
    StoredRefits(here.engine).request("default", "Ann", here.clock())
    (report,) = here.rounds.fit_what_is_due()
    assert report.outcome == "promoted"
    assert here.rounds.fit_what_is_due() == ()
    assert StoredRefits(here.engine).state("default").state == "idle"


def test_a_wish_made_while_one_fits_is_served_after_it(here: Installation) -> None:
    fill(here.engine)
    here.ledger.wish("default", here.clock())
    here.fit.during = lambda: here.fit.fitted or here.ledger.wish("default", here.clock())
    assert len(here.rounds.fit_what_is_due()) == 1
    assert len(here.rounds.fit_what_is_due()) == 1
    assert here.rounds.fit_what_is_due() == ()


def test_an_interrupted_refit_is_tried_once_more_and_then_given_up(here: Installation) -> None:
    fill(here.engine)
    here.ledger.start("default", here.clock())  # and killed

    def killed() -> None:
        raise KeyboardInterrupt

    errors = []
    here.fit.during = lambda: errors.append(here.ledger.read("default").error)
    (report,) = here.rounds.fit_what_is_due()
    assert (report.outcome, errors) == ("promoted", [INTERRUPTED])
    here.ledger.start("default", here.clock(), again=True)  # and killed again
    (report,) = here.rounds.fit_what_is_due()
    assert (report.outcome, report.reason) == ("failed", GIVEN_UP)
    assert here.rounds.fit_what_is_due() == ()
    here.ledger.wish("default", here.clock())
    assert here.rounds.fit_what_is_due()[0].outcome == "promoted"
    here.fit.during = killed
    with pytest.raises(KeyboardInterrupt):
        here.run()
    assert here.ledger.read("default").error == "the refit was stopped"


def test_one_tenants_failure_stops_no_other(here: Installation) -> None:
    for tenant in ("north", "south"):
        fill(here.engine, tenant)
        here.ledger.wish(tenant, here.clock())

    def fail_first() -> None:
        if not here.fit.fitted and here.ledger.read("north").finished_at is None:
            raise ZeroDivisionError

    here.fit.during = fail_first
    assert [report.outcome for report in here.rounds.fit_what_is_due()] == ["failed", "promoted"]


def test_each_night_every_tenant_with_events_is_wished_for_once(here: Installation) -> None:
    fill(here.engine, "north")
    fill(here.engine, "south", users=())
    night = NOW.replace(hour=3)
    rounds, at = here.rounds, hour(3, 0)
    assert rounds.wish_for_the_night(NOW, at) == ("north",)
    assert rounds.wish_for_the_night(NOW + HOUR, at) == ()
    assert rounds.wish_for_the_night(night + timedelta(days=1), at) == ("north",)
    assert rounds.wish_for_the_night(night + timedelta(days=1, seconds=2), at) == ()


def test_the_process_refits_at_night_and_when_asked_until_it_is_stopped(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    here = installed(sqlite_engine, tmp_path / "models")
    fill(sqlite_engine)
    here.ledger.wish("default", datetime.now(UTC))
    here.refit._clock = lambda: datetime.now(UTC)  # the scheduler is on the wall's clock
    soon = datetime.now(UTC) + timedelta(seconds=4)
    stops: list[Callable[[], None]] = []
    done: list[RefitReport] = []
    thread = threading.Thread(
        target=serve_refits,
        args=(here.rounds,),
        kwargs={
            "nightly": soon.time().replace(microsecond=0),
            "clock": lambda: datetime.now(UTC),
            "poll_seconds": 0.05,
            "report": done.append,
            "on_start": stops.append,
        },
    )
    thread.start()
    wait_until(lambda: len(done) == 1)
    wait_until(lambda: len(done) == 2)
    assert datetime.now(UTC) >= soon.replace(microsecond=0)
    stops[0]()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert [report.outcome for report in done] == ["promoted"] * 2


def test_what_the_api_was_asked_for_runs_beside_it_once_at_a_time(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    here = installed(sqlite_engine, tmp_path / "models")
    fill(sqlite_engine)
    running, most, gate = [0], [0], threading.Event()

    def run() -> int:
        running[0] += 1
        most[0] = max(most[0], running[0])
        gate.wait(10)
        here.rounds.fit_what_is_due()
        running[0] -= 1
        return 0

    refits = BackgroundRefits(StoredRefits(sqlite_engine), here.ledger, run, pause_seconds=0.01)
    for _ in range(3):
        refits.request("default", "Ann", here.clock())
    assert refits.state("default").state == "waiting"
    gate.set()
    wait_until(lambda: refits.state("default").state == "idle")
    assert len(here.fit.fitted) == 1
    wait_until(lambda: refits._thread is None)
    refits.request("default", "Ann", here.clock())
    wait_until(lambda: refits.state("default").state == "idle" and len(here.fit.fitted) == 2)
    assert most == [1]


def test_a_background_process_that_is_killed_again_and_again_ends_in_a_reason(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    here = installed(sqlite_engine, tmp_path / "models")
    fill(sqlite_engine)
    statuses: list[int] = []

    def run() -> int:
        again = here.ledger.read("default").unfinished
        if again and here.ledger.read("default").error == INTERRUPTED:
            here.rounds.fit_what_is_due()
            statuses.append(0)
        else:
            here.ledger.start("default", here.clock(), again=again)
            statuses.append(-9)
        return statuses[-1]

    refits = BackgroundRefits(StoredRefits(sqlite_engine), here.ledger, run, pause_seconds=0.01)
    refits.request("default", "Ann", here.clock())
    wait_until(lambda: refits.state("default").state == "failed")
    assert refits.state("default").error == GIVEN_UP
    wait_until(lambda: len(statuses) == 3)
    assert statuses == [-9, -9, 0]


# Processes that are killed


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def process(url: str, models: Path, seconds: float, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.refit_process", url, str(models), str(seconds), mode],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def heard(one: subprocess.Popen[str], line: str) -> None:
    assert one.stdout is not None
    for said in one.stdout:
        if said == f"{line}\n":
            return
    raise AssertionError(f"the process ended before it said {line}")


@dataclass
class Loaded:
    """What a server holds of a bundle: read whole, or an error."""

    version: str
    users: list[str]


def test_killed_in_mid_refit_the_bundle_before_serves_and_another_process_goes_on(
    tmp_path: Path,
) -> None:
    url, models = f"sqlite:///{tmp_path / 'triptych.sqlite3'}", tmp_path / "models"
    engine = open_database(url)
    try:
        here = installed(engine, models)
        fill(engine)
        first = here.run()
        here.ledger.wish("default", datetime.now(UTC))
        killed = process(url, models, 30.0, "once")
        heard(killed, "fitting")
        killed.kill()
        killed.communicate(timeout=10)
        assert here.registry.in_use("recommend") == first.version
        here.registry.verify(here.registry.get("recommend"))
        assert here.ledger.read("default").unfinished
        time.sleep(1.1)  # its lease ends
        output, _ = process(url, models, 0.0, "once").communicate(timeout=20)
        assert output.split() == ["fitting", "promoted"]
        assert here.registry.in_use("recommend") != first.version
        assert not here.ledger.read("default").unfinished
    finally:
        engine.dispose()


def test_killed_while_bundles_are_swapped_a_whole_one_serves_all_the_time(tmp_path: Path) -> None:
    url, models = f"sqlite:///{tmp_path / 'triptych.sqlite3'}", tmp_path / "models"
    engine, chance = open_database(url), random.Random(20260301)
    here = installed(engine, models)
    fill(engine)
    here.run()

    def load(version: ModelVersion) -> Loaded:
        here.registry.verify(version)
        return Loaded(version.name, users_of(version))

    served = VersionInUse(
        "recommend", here.registry, load, lambda loaded: None, poll_seconds=0.01, retry_seconds=0.01
    )
    served.start()
    seen: set[str] = set()
    try:
        for _ in range(4):
            one = process(url, models, 0.0, "for-ever")
            heard(one, "done")
            time.sleep(chance.uniform(0.0, 0.15))
            one.kill()
            one.communicate(timeout=10)
            in_use = here.registry.get("recommend")
            here.registry.verify(in_use)
            wait_until(lambda name=in_use.name: served.version == name)  # type: ignore[misc]
            assert served.current().users == ["ann", "bo"]
            seen.add(in_use.name)
            time.sleep(1.1)
        history = here.registry.history("recommend")
        assert all(after.previous == before.version for before, after in pairwise(history))
        assert len(seen) == 4
        assert len(here.registry.versions("recommend")) <= 3 + 3 + 1 + 4
    finally:
        served.stop()
        engine.dispose()
