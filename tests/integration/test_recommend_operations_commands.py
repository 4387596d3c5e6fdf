"""The commands of bundles, refits and experiments, each as a person runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from apps.recommend.commands.bundles import bundles, refit
from apps.recommend.commands.experiments import arm_of, experiments
from apps.recommend.experiments.impressions import ImpressionLog
from apps.recommend.operations.refit import Refit
from apps.recommend.operations.refit_state import RefitLedger
from models.registry import ModelRegistry
from shared.errors import DataError
from shared.storage.engine import open_database
from tests.fakes.bundle_fitting import NOW, BundleFitting, Gate, fill

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path))
    monkeypatch.delenv("TRIPTYCH_DATABASE_URL", raising=False)
    return tmp_path


@pytest.fixture
def stored(home: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{home / 'triptych.sqlite3'}")
    yield opened
    opened.dispose()


def run(command: Any, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def answer(command: Any, *arguments: str) -> dict[str, Any]:
    """What ``--json`` prints on standard output: one object and nothing else."""
    result = run(command, *arguments, "--json")
    assert result.exit_code == 0, result.output
    read = json.loads(result.stdout)
    assert isinstance(read, dict)
    return read


def fitted(home: Path, engine: Engine, count: int) -> list[str]:
    """So many bundles of the default tenant, one after another in use."""
    registry = ModelRegistry(home / "models")
    fill(engine)
    refits = Refit(
        engine, registry, BundleFitting(registry), Gate(), holder="here", clock=lambda: NOW
    )
    names = [refits.run("default", author="Ann").version for _ in range(count)]
    assert all(names)
    return [str(name) for name in names]


def test_bundles_are_listed_and_rolled_back(home: Path, stored: Engine) -> None:
    first, second = fitted(home, stored, 2)
    listed = answer(bundles, "list")
    assert listed["in_use"] == second
    assert {one["version"]: one["in_use"] for one in listed["bundles"]} == {
        first: False,
        second: True,
    }
    assert f"* {second}" in run(bundles, "list").stdout
    back = answer(bundles, "rollback", "--author", "Bo")
    assert (back["version"], back["previous"], back["author"]) == (first, second, "Bo")
    assert answer(bundles, "list")["in_use"] == first
    gone = run(bundles, "rollback")
    assert (gone.exit_code, "no earlier version" in gone.stderr) == (1, True)
    assert answer(bundles, "list", "--tenant", "other") == {
        "tenant": "other",
        "in_use": None,
        "bundles": [],
    }


def test_a_refit_of_nothing_says_what_is_missing_and_fails(home: Path, stored: Engine) -> None:
    result = run(refit)
    assert result.exit_code == 1
    assert "default: failed: there is no item to fit on: load items first" in result.stderr
    told = json.loads(run(refit, "--json").stdout)
    assert told["refits"][0]["outcome"] == "failed"
    assert RefitLedger(stored).read("default").error == told["refits"][0]["reason"]


def test_wishes_are_served_and_their_failures_kept_in_the_state(home: Path, stored: Engine) -> None:
    assert answer(refit, "--wished") == {"refits": []}
    RefitLedger(stored).wish("north", NOW)
    (told,) = answer(refit, "--wished")["refits"]
    assert (told["tenant"], told["outcome"]) == ("north", "failed")
    assert answer(refit, "--wished") == {"refits": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nightly", "25:00"], "is no time of day"),
        (["--nightly", "three"], "is no time of day"),
        (["--nightly", "03:00", "--wished"], "one of --nightly and --wished"),
        (["--tenant", "No Such"], "lower-case letter"),
    ],
)
def test_a_refit_that_makes_no_sense_is_refused(
    home: Path, arguments: list[str], message: str
) -> None:
    result = run(refit, *arguments)
    assert result.exit_code != 0
    assert message in " ".join(result.stderr.split())


def test_an_experiment_from_its_start_to_its_results(home: Path, stored: Engine) -> None:
    arms = ("--arm", "plain", "--arm", "varied:diversity=0.4,category_cap=3,share=0.5")
    made = answer(experiments, "start", "Diversity", *arms, "--author", "Ann")
    assert made["arms"] == [
        {"name": "plain", "share": 1.0, "settings": {}},
        {"name": "varied", "share": 0.5, "settings": {"diversity": 0.4, "category_cap": 3}},
    ]
    log = ImpressionLog(stored)
    for number in range(60):
        user = f"user-{number}"
        assigned = log.assignment("default", user)
        assert assigned is not None
        shown = log.shown("default", user, ["a"], assigned, NOW)
        assert shown is not None
        if assigned.arm == "varied":
            log.clicked("default", shown, "a", NOW)
    told = answer(experiments, "results", made["id"])
    plain, varied = told["results"]
    assert plain["impressions"] + varied["impressions"] == 60
    assert (plain["clicked"], plain["difference"]) == (0, None)
    assert varied["rate"]["estimate"] == 1.0
    assert varied["difference"]["low"] > 0.5
    text = run(experiments, "results", made["id"]).stdout
    assert "varied: " in text
    assert "+100.00 % (95 %: +" in text
    assert answer(experiments, "stop", made["id"])["state"] == "stopped"
    assert [one["id"] for one in answer(experiments, "list")["experiments"]] == [made["id"]]
    assert "stopped" in run(experiments, "list").stdout
    assert run(experiments, "remove", made["id"]).exit_code == 0
    assert answer(experiments, "list") == {"experiments": []}
    assert run(experiments, "stop", made["id"]).exit_code == 1


@pytest.mark.parametrize("text", ["a:diversity", "a:diversity=much", "a:category_cap=1.5"])
def test_an_arm_that_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(DataError, match="is no setting"):
        arm_of(text)


def test_arms_are_checked_before_anything_is_kept(home: Path) -> None:
    for arms in (["--arm", "alone"], ["--arm", "a", "--arm", "b:diversity=2"]):
        assert run(experiments, "start", "Bad", *arms).exit_code == 1
    assert answer(experiments, "list") == {"experiments": []}
