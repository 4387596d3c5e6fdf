"""``triptych finance index``, ``alerts`` and ``backtest`` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from apps.cli import main
from apps.finance.alerts.live import evaluate_rules
from apps.finance.commands.moments import later_moment, moment
from shared.errors import DataError
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.scored_rows import store_story
from tests.fakes.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)


class Desk:
    """An installation of its own, and its commands."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.variables: dict[str, str] = {"TRIPTYCH_HOME": str(home)}

    def run(self, *arguments: str) -> Result:
        return CliRunner(env=self.variables).invoke(main, ["finance", *arguments])

    def told(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def engine(desk: Desk) -> Iterator[Engine]:
    opened = open_database(Settings(home=desk.home).database)
    yield opened
    opened.dispose()


def news(engine: Engine, story: str, at: datetime, mood: str = "negative", **about: Any) -> None:
    with engine.begin() as connection:
        store_story(connection, story, at, mood, **about)
        evaluate_rules(connection, at)


def test_the_index_is_a_table_or_json(desk: Desk, engine: Engine) -> None:
    about = (("apple", "Technology", "positive"),)
    news(engine, "s1", NOW - 3 * HOUR, companies=about)
    told = desk.told("index", "--step", "hour", "--since", "5h", "--until", NOW.isoformat())
    assert (told["subject"], told["step"]) == ("all", "hour")
    volumes = [point["volume"] for point in told["points"]]
    assert sum(volumes) == 1
    assert set(told["points"][0]) == {
        "at",
        "value",
        "weight",
        "volume",
        "negative_volume",
        "volume_z",
    }
    assert -1 <= told["points"][-1]["value"] < 0
    tech = desk.told("index", "--sector", "Technology", "--since", "2d")
    assert tech["points"][-1]["value"] > 0
    table = desk.run("index", "--since", "2d")
    assert table.exit_code == 0
    assert "####|" in table.stdout
    assert "no story about all" not in table.stderr
    assert "no story about sector:Toys yet" in desk.run("index", "--sector", "Toys").stderr


def test_a_company_is_found_by_what_people_call_it(desk: Desk, engine: Engine) -> None:
    from apps.finance.entities.gazetteer import gazetteer

    one = gazetteer()[0]
    news(engine, "s1", NOW - HOUR, companies=((one.id, one.sector, "positive"),))
    assert desk.told("index", "--company", one.id)["points"][-1]["value"] > 0
    assert desk.told("index", "--company", one.name)["subject"] == f"company:{one.id}"
    unknown = desk.run("index", "--company", "Nowhere & Nobody")
    assert unknown.exit_code == 1
    assert "no company is called" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["index", "--since", "yesterday"], "is no time"),
        (["index", "--since", "1990-01-01", "--step", "hour"], "shorter time"),
        (["alerts", "add-rule", "x", "--kind", "fall", "--set", "points"], "parameter=value"),
        (
            ["alerts", "add-rule", "x", "--kind", "fall", "--set", "point=1"],
            "no parameter of a fall",
        ),
        (["alerts", "add-target", "webhook", "http://127.0.0.1/"], "not a public address"),
        (["alerts", "add-target", "email", "Desk <desk@example.com>"], "no mail address"),
        (["alerts", "ack", "nothing"], "no alert nothing"),
        (["alerts", "remove-rule", "nothing"], "no alert rule nothing"),
        (["backtest", "--rule", "nothing"], "no rule 'nothing'"),
        (["backtest", "--rule", "{kind"], "no JSON"),
        (["backtest", "--rule", '{"kind": "fall", "level": 1}'], "no level"),
    ],
)
def test_mistakes_end_in_one_line(desk: Desk, arguments: list[str], words: str) -> None:
    result = desk.run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert words in result.stderr


def test_a_company_and_a_sector_at_once_are_refused(desk: Desk) -> None:
    assert desk.run("index", "--company", "a", "--sector", "b").exit_code == 2


def test_from_a_rule_to_a_delivered_alert_that_is_closed(desk: Desk, engine: Engine) -> None:
    with webhook_receiver() as receiver:
        desk.variables["TRIPTYCH_ALLOWED_ADDRESSES"] = "127.0.0.1"
        rule = desk.told(
            "alerts", "add-rule", "Low mood", "--kind", "threshold", "--set", "level=-0.4",
            "--set", "cooldown_hours=2", "--author", "Ada",
        )  # fmt: skip
        assert (rule["parameters"]["level"], rule["author"], rule["enabled"]) == (-0.4, "Ada", True)
        target = desk.told("alerts", "add-target", "webhook", f"{receiver.url}/hook")
        assert len(target["secret"]) >= 40
        (listed,) = desk.told("alerts", "targets")["targets"]
        assert (listed["signed"], "secret" in listed) == (True, False)
        news(engine, "s1", NOW)
        assert desk.told("alerts", "deliver") == {"delivered": 1, "failed": 0, "given_up": 0}
    assert json.loads(receiver.received[0].body)["alert"]["rule"]["name"] == "Low mood"
    (alert,) = desk.told("alerts", "list", "--state", "open")["alerts"]
    assert (alert["subject"], alert["story_ids"]) == ("all", ["s1"])
    assert alert["deliveries"][0]["delivered_at"] is not None
    assert desk.told("alerts", "ack", alert["id"], "--note", "mine")["state"] == "acknowledged"
    snoozed = desk.told("alerts", "snooze", alert["id"], "--until", "4h")
    ahead = datetime.fromisoformat(snoozed["snoozed_until"]) - datetime.now(UTC)
    assert timedelta(hours=3) < ahead <= timedelta(hours=4)
    assert "is closed" in desk.run("alerts", "close", alert["id"]).stdout
    assert desk.told("alerts", "list", "--state", "open")["alerts"] == []
    assert alert["id"] in desk.run("alerts", "list").stdout


def test_rules_are_switched_and_removed(desk: Desk) -> None:
    made = desk.told(
        "alerts", "add-rule", "Suits", "--kind", "event", "--scope", "company:*", "--disabled",
        "--set", "events=lawsuit, insolvency", "--set", "quiet_hours.start=22:00",
        "--set", "quiet_hours.end=07:00", "--set", "quiet_hours.zone=Europe/Berlin",
    )  # fmt: skip
    assert made["parameters"]["events"] == ["lawsuit", "insolvency"]
    assert made["parameters"]["quiet_hours"]["zone"] == "Europe/Berlin"
    assert not made["enabled"]
    assert "Suits is on" in desk.run("alerts", "enable", made["id"]).stdout
    assert "Suits is off" in desk.run("alerts", "disable", made["id"]).stdout
    assert "off  event" in desk.run("alerts", "rules").stdout
    assert desk.run("alerts", "remove-rule", made["id"]).exit_code == 0
    assert desk.told("alerts", "rules") == {"rules": []}


def test_a_backtest_shows_when_rules_would_have_fired(desk: Desk, engine: Engine) -> None:
    for number in range(3):
        news(engine, f"s{number}", NOW - timedelta(days=3 * number + 1))
    inline = json.dumps(
        {
            "kind": "threshold",
            "name": "Low",
            "parameters": {"level": -0.5, "rearm": -0.45, "cooldown_hours": 0},
        }
    )
    told = desk.told("backtest", "--rule", inline, "--since", "10d", "--until", NOW.isoformat())
    assert [alert["rule"] for alert in told["alerts"]] == ["Low"] * 3
    fired = [datetime.fromisoformat(alert["fired_at"]) for alert in told["alerts"]]
    assert fired == [NOW - timedelta(days=number) for number in (7, 4, 1)]
    assert told["alerts"][0]["story_ids"] == ["s2"]
    assert desk.told("alerts", "list")["alerts"] == []
    made = desk.told("alerts", "add-rule", "Mine", "--kind", "threshold", "--disabled")
    for name in (made["id"], "Mine"):
        assert len(desk.told("backtest", "--rule", name)["alerts"]) >= 1
    shown = desk.run("backtest", "--rule", "Mine")
    assert "Mine  all  index -0.5" in shown.stdout
    assert desk.told("backtest")["rules"] == []


def test_an_archive_is_backtested_as_it_was_published(desk: Desk, engine: Engine) -> None:
    with engine.begin() as connection:
        store_story(connection, "s1", NOW - timedelta(days=5), seen_at=NOW)
    rule = '{"kind": "threshold", "parameters": {"level": -0.4}}'
    assert desk.told("backtest", "--rule", rule, "--since", "7d")["alerts"] == []
    published = desk.told("backtest", "--rule", rule, "--since", "7d", "--as-published")
    (alert,) = published["alerts"]
    assert datetime.fromisoformat(alert["fired_at"]) == NOW - timedelta(days=5)


def test_times_are_read_as_people_write_them() -> None:
    now = datetime(2026, 3, 18, 12, tzinfo=UTC)
    assert moment("36h", now) == now - timedelta(hours=36)
    assert moment("2w", now) == now - timedelta(days=14)
    assert moment("2026-03-01", now) == datetime(2026, 3, 1, tzinfo=UTC)
    assert moment("2026-03-01T12:00+02:00", now) == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert later_moment("1d", now) == now + timedelta(days=1)
    assert later_moment("2026-04-01", now) == datetime(2026, 4, 1, tzinfo=UTC)
    for text in ("soon", "10", "", "9999w", "-3d", "0001-01-01", "2200-01-01"):
        with pytest.raises(DataError, match="is no time"):
            moment(text, now)
