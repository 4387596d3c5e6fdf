"""``triptych models`` on a registry of small made-up versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apps.cli import main
from models.registry import ModelRegistry, ModelVersion

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)


class Home:
    """A TRIPTYCH_HOME with a registry, and the command run against it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = ModelRegistry(folder / "models")

    def add(self, number: int) -> ModelVersion:
        def write(folder: Path) -> None:
            (folder / "gate.jsonl").write_text("")
            (folder / "report.html").write_text("<p>report</p>")

        return self.registry.add(
            "support",
            card={
                "method": "full",
                "encoder": "all-MiniLM-L6-v2",
                "labels": ["a", "b"],
                "data": {"train": 1200 + number},
                "metrics": {"accuracy": 0.9412, "macro_f1": 0.935, "out_of_scope": None},
                "limits": ["English only."],
            },
            write=write,
            now=NOON + timedelta(hours=number),
        )

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(
            main, ["models", *arguments], env={"TRIPTYCH_HOME": str(self.folder)}
        )

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_an_empty_registry_says_what_to_do(home: Home) -> None:
    result = home.run("list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "triptych train support" in result.stderr
    assert home.json("list") == {"app": "support", "in_use": None, "versions": []}
    shown = home.run("show")
    assert shown.exit_code == 1
    assert "no version of support is in use yet" in shown.stderr


def test_list_marks_the_one_in_use_and_has_the_newest_first(home: Home) -> None:
    first, second = home.add(1), home.add(2)
    home.registry.promote("support", first, gate=None, author="ann", now=NOON)
    head, newest, oldest = home.run("list").stdout.splitlines()
    assert head.split() == [
        "version", "created", "method", "train", "accuracy", "macro-F1", "answered",
    ]  # fmt: skip
    assert newest.split()[0] == second.name
    assert oldest.split()[:2] == ["*", first.name]
    assert "94.1 %" in newest
    assert "1,202" in newest
    rows = home.json("list")["versions"]
    assert [(row["version"], row["in_use"]) for row in rows] == [
        (second.name, False),
        (first.name, True),
    ]
    assert rows[0]["metrics"]["accuracy"] == 0.9412


def test_show_takes_the_beginning_of_a_name(home: Home) -> None:
    version = home.add(1)
    found = home.json("show", version.name[:12])
    assert found["version"] == version.name
    assert found["in_use"] is False
    assert found["card"] == dict(version.card)
    assert Path(found["report"]).read_text() == "<p>report</p>"
    shown = home.run("show", version.name).stdout
    assert "classes: 2" in shown
    assert "  accuracy: 0.9412" in shown
    assert "  - English only." in shown
    assert str(version.folder / "report.html") in shown


def test_show_finds_out_changed_files(home: Home) -> None:
    version = home.add(1)
    (version.folder / "gate.jsonl").write_text("changed")
    result = home.run("show", version.name)
    assert result.exit_code == 1
    assert "gate.jsonl was changed" in result.stderr
    assert result.stdout == ""


def test_promote_and_roll_back(home: Home) -> None:
    first, second = home.add(1), home.add(2)
    promoted = home.json("promote", first.name, "--author", "ann")
    assert (promoted["version"], promoted["previous"], promoted["forced"]) == (
        first.name,
        None,
        False,
    )
    result = home.run("promote", second.name[:12], "--author", "bob")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"support now uses {second.name} in place of {first.name}\n")
    assert "the gate split is empty" in result.stdout
    back = home.json("rollback", "--author", "cem")
    assert (back["version"], back["kind"]) == (first.name, "rollback")
    assert [line.author for line in home.registry.history("support")] == ["ann", "bob", "cem"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("promote", "2099"), "has no version 2099"),
        (("promote", "../../etc"), "is not the name of a version"),
        (("rollback",), "no earlier version"),
        (("list", "--app", "../x"), "is not the name of an app"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_1(
    home: Home, arguments: tuple[str, ...], words: str
) -> None:
    home.add(1)
    result = home.run(*arguments, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_commands_promote_stands_in_the_audit_log(home: Home) -> None:
    first = home.add(1)
    home.json("promote", first.name, "--author", "ann")
    told = CliRunner().invoke(main, ["audit", "--json"], env={"TRIPTYCH_HOME": str(home.folder)})
    (line,) = json.loads(told.stdout)["entries"]
    assert (line["actor"], line["action"]) == ("ann", "model promotion")
    assert line["details"]["version"] == first.name
    assert line["details"]["by"].endswith("the command line")
