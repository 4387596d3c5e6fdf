"""The command as it is called, on a database of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apps.finance.commands.companies import companies

pytestmark = pytest.mark.unit


class Shell:
    """Runs the command in a home folder of its own."""

    def __init__(self, home: Path) -> None:
        self.environment = {"TRIPTYCH_HOME": str(home), "TRIPTYCH_DATABASE_URL": ""}

    def run(self, *arguments: str, given: str = "") -> Result:
        environment = {name: value or None for name, value in self.environment.items()}
        return CliRunner().invoke(companies, list(arguments), input=given, env=environment)

    def json(self, *arguments: str, given: str = "") -> Any:
        done = self.run(*arguments, "--json", given=given)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_company_is_watched_listed_and_unwatched(shell: Shell) -> None:
    assert shell.json("list") == {"companies": []}
    assert "no company is watched" in shell.run("list").stderr
    assert shell.json("watch", "AAPL", "--alias", "Fruit Inc")["id"] == "apple"
    (listed,) = shell.json("list")["companies"]
    assert (listed["id"], listed["aliases"], listed["watched"]) == ("apple", ["Fruit Inc"], True)
    assert "Information Technology" in shell.run("list").stdout
    assert shell.json("unwatch", "Apple")["watched"] is False
    assert shell.json("list") == {"companies": []}
    everything = shell.json("list", "--all")["companies"]
    assert len(everything) >= 320
    assert not any(company["watched"] for company in everything)


def test_an_unknown_name_is_refused_with_close_ones(shell: Shell) -> None:
    done = shell.run("watch", "Mircosoft", "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "did you mean Microsoft (microsoft)" in done.stderr
    assert shell.run("unwatch", "Apple").exit_code == 1


def test_a_custom_company_links(shell: Shell) -> None:
    arguments = ["--custom", "--ticker", "HVST", "--needs-context", "Harvest"]
    made = shell.json("watch", "Harvest Grain", *arguments)
    assert (made["id"], made["aliases"], made["needs_context"]) == (
        "harvest-grain",
        ["Harvest"],
        ["Harvest"],
    )
    results = shell.json("link", "-", given="Harvest raises guidance\n\nHarvest time\n")["results"]
    assert [[one["id"] for one in row["companies"]] for row in results] == [["harvest-grain"], []]


def test_link_tells_places_and_relevance(shell: Shell) -> None:
    (row,) = shell.json("link", "Boeing waits", "--summary", "So does Airbus.")["results"]
    boeing, airbus = row["companies"]
    assert (boeing["id"], boeing["spans"], boeing["words"], boeing["in_title"]) == (
        "boeing",
        [[0, 6]],
        ["Boeing"],
        True,
    )
    assert (airbus["id"], airbus["in_title"]) == ("airbus", False)
    assert boeing["relevance"] > airbus["relevance"]
    shown = shell.run("link", "Boeing waits", "apple pie").stdout
    assert "1.00  Boeing (boeing): Boeing" in shown
    assert "no company" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["watch", "Apple", "--ticker", "X"],
        ["link", " "],
        ["link", "a", "b", "--summary", "c"],
        ["link"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(shell: Shell, arguments: list[str]) -> None:
    assert shell.run(*arguments).exit_code == 2
