"""Each fault that the doctor knows is made, found, and answered with a command that exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, insert

from apps.cli import main
from apps.commands import doctor_checks
from models.registry import ModelRegistry
from shared.monitoring import stored_checks
from shared.monitoring.findings import Finding, looked_at
from shared.serving.guards.keys import create_key, revoke_key
from shared.settings import Settings
from shared.storage.engine import open_database
from shared.storage.finance_tables import alert_targets, alerts, deliveries, feeds
from shared.storage.leases import Lease
from shared.storage.tables import audit_log

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def only(found: Iterable[Finding], check: str) -> Finding:
    chosen = [one for one in found if one.check == check]
    assert len(chosen) == 1, chosen
    return chosen[0]


def add_feed(engine: Engine, **values: object) -> None:
    row = {
        "id": "f1", "url": "https://example.com/feed", "name": "Example", "state": "active",
        "interval_seconds": 900, "failures": 0, "added_by": "ada", "created_at": NOW,
        "update_after": NOW,
    } | values  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(feeds).values(row))


def add_delivery(engine: Engine, **values: object) -> None:
    row = {
        "id": "d1", "alert_id": "a1", "target_id": "t1", "channel": "webhook", "attempts": 1,
        "address": "https://example.com/hook", "payload": {}, "next_attempt_at": NOW,
    } | values  # fmt: skip
    with engine.begin() as connection:
        connection.execute(
            insert(alerts).values(
                id="a1", rule_id="r", rule={}, subject="all", fired_at=NOW, numbers={},
                story_ids=[], state="open", note="",
            )
        )  # fmt: skip
        connection.execute(
            insert(alert_targets).values(
                id="t1", channel="webhook", address="https://example.com/hook", enabled=True,
                created_at=NOW,
            )
        )  # fmt: skip
        connection.execute(insert(deliveries).values(row))


def test_a_fresh_database_has_nothing_to_mend(engine: Engine) -> None:
    now = datetime.now(UTC)
    found = doctor_checks.check_stored(engine, Settings(), now, mail=False)
    assert {one.status for one in found} == {"ok"}
    assert {one.check for one in found} == {
        "database", "watcher", "feeds", "deliveries", "keys", "drift", "clock",
    }  # fmt: skip


def test_feeds_without_a_watcher_are_an_error(sqlite_engine: Engine) -> None:
    engine = sqlite_engine
    add_feed(engine)
    assert only(stored_checks.watcher(engine, NOW), "watcher").status == "error"
    lease = Lease(engine, stored_checks.WATCHER_LEASE, "a watcher", 45)
    assert lease.acquire(NOW)
    assert only(stored_checks.watcher(engine, NOW), "watcher").status == "ok"
    late = NOW + timedelta(hours=1)
    dead = only(stored_checks.watcher(engine, late), "watcher")
    assert dead.status == "error"
    assert "triptych finance watch" in dead.mend
    assert only(stored_checks.feeds_lag(engine, late), "feeds").message.startswith("1 overdue")


def test_feeds_that_fail_each_time_are_named(sqlite_engine: Engine) -> None:
    engine = sqlite_engine
    add_feed(engine, failures=7, update_after=NOW + timedelta(hours=5))
    found = only(stored_checks.feeds_lag(engine, NOW), "feeds")
    assert found.status == "warning"
    assert "Example" in found.message


@pytest.mark.parametrize(
    ("values", "status", "mend"),
    [
        ({}, "ok", ""),
        ({"next_attempt_at": NOW - timedelta(hours=2)}, "error", "finance watch"),
        ({"next_attempt_at": None, "last_error": "410"}, "warning", "alerts list"),
        (
            {"next_attempt_at": NOW - timedelta(hours=2), "channel": "email"},
            "error",
            "TRIPTYCH_SMTP_HOST",
        ),
        ({"last_error": "503"}, "warning", "alerts targets"),
    ],
)
def test_deliveries_that_are_stuck(
    engine: Engine, values: dict[str, object], status: str, mend: str
) -> None:
    add_delivery(engine, **values)
    found = only(stored_checks.stuck_deliveries(engine, NOW, mail=False), "deliveries")
    assert found.status == status
    assert mend in found.mend


def test_keys_that_end(sqlite_engine: Engine) -> None:
    engine = sqlite_engine
    assert only(stored_checks.keys(engine, NOW), "keys").status == "ok"
    key = create_key(engine, name="desk", scopes=["admin"], actor="ada", now=NOW,
                     expires_in=timedelta(days=3))  # fmt: skip
    ending = only(stored_checks.keys(engine, NOW), "keys")
    assert ending.status == "warning"
    assert key.id in ending.mend
    revoke_key(engine, key.id, actor="ada", now=NOW)
    assert only(stored_checks.keys(engine, NOW), "keys").status == "error"


def test_a_clock_that_was_set_back(engine: Engine) -> None:
    now = datetime.now(UTC)
    assert only(stored_checks.clock(engine, now), "clock").status == "ok"
    row = {"at": now + timedelta(hours=1), "actor": "ada", "action": "x", "details": {}}
    with engine.begin() as connection:
        connection.execute(insert(audit_log).values(row))
    assert only(stored_checks.clock(engine, now), "clock").status == "error"


def test_a_model_that_was_changed_is_an_error(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    missing = only(doctor_checks.check_model(registry, "recommend"), "model recommend")
    assert missing.status == "warning"
    version = registry.add(
        "recommend", card={}, write=lambda f: (f / "x.json").write_text("{}") and None, now=NOW
    )
    registry.promote("recommend", version.name, gate=None, author="ada", now=NOW)
    assert only(doctor_checks.check_model(registry, "recommend"), "model recommend").status == "ok"
    (version.folder / "x.json").write_text('{"changed": true}')
    changed = only(doctor_checks.check_model(registry, "recommend"), "model recommend")
    assert changed.status == "error"
    assert "x.json" in changed.message


def test_a_check_that_fails_does_not_stop_the_others() -> None:
    def broken() -> list[Finding]:
        raise RuntimeError("no such thing")

    (found,) = looked_at("thing", broken, "look")
    assert found.status == "error"
    assert "no such thing" in found.message


def test_the_command_says_what_to_do_and_leaves_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TRIPTYCH_DATABASE_URL", raising=False)
    command = ["doctor", "--json", "--url", "http://127.0.0.1:9"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    told = {one["check"]: one for one in json.loads(result.stdout)["checks"]}
    assert told["database"]["status"] == "error"
    assert told["api"]["mend"].startswith("start `triptych serve`")
    assert not (tmp_path / "home").exists()  # it changes nothing
    (tmp_path / "home").mkdir()
    open_database(Settings().database).dispose()
    told = {
        one["check"]: one for one in json.loads(CliRunner().invoke(main, command).stdout)["checks"]
    }
    assert told["database"]["status"] == "ok"


def test_every_command_that_is_named_exists() -> None:
    named: set[str] = set()
    for module in (stored_checks, doctor_checks):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        source = re.sub(r'"\s*\n\s*f?"', "", source).replace(
            "{app.partition('_')[0]}", "{app}"
        )  # a text over several lines
        named |= set(re.findall(r"`triptych ([^`]+)`", source))
    assert len(named) > 10
    for line in (one.replace("{app}", "support") for one in named):
        command: click.Command = main
        context = click.Context(main)
        for word in line.split():
            if not isinstance(command, click.Group):
                break
            found = command.get_command(context, word)
            assert found is not None, line
            command = found
