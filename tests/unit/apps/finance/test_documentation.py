"""What docs/finance.md and the README tell a desk is true: commands, rules, numbers, pictures."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from apps.cli import main
from apps.finance.entities.gazetteer import gazetteer
from apps.finance.feeds import DEFAULT_INTERVAL
from apps.finance.ingest import grouping, watching
from apps.finance.ingest.schedule import LONGEST_INTERVAL, SHORTEST_INTERVAL
from apps.finance.records import LEAD_CHARACTERS
from apps.finance.scoring.in_use import RULES_FILE
from apps.finance.scoring.prior_rules import load_rules
from shared.web.addresses import AddressPolicy

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[4]
TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8") for name in ("docs/finance.md", "README.md")
}
GUIDE = TEXTS["docs/finance.md"]
COMMANDS = sorted(
    {
        line.split(" #")[0].strip()
        for text in TEXTS.values()
        for line in re.findall(r"^    (triptych .+)$", text, re.MULTILINE)
    }
)
NEUTRAL = {"negative": 0.05, "neutral": 0.9, "positive": 0.05}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_understood(line: str) -> None:
    name, *words = shlex.split(line)
    command: click.Command = main
    context = click.Context(main, info_name=name)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]!r}"
        command, words = found, words[1:]
    command.make_context(command.name, list(words), parent=context)


def test_the_rules_are_read_and_do_what_is_said(tmp_path: Path) -> None:
    code = re.search(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert code is not None
    path = tmp_path / RULES_FILE
    path.write_text(code[1], encoding="utf-8")
    rules = load_rules(path)
    pinned, why = rules.apply("Halden Bank loses its banking licence", NEUTRAL)
    assert why is not None
    assert why["rule"] == "lost-licence"
    assert pinned["negative"] == pytest.approx(0.98)
    raised, why = rules.apply("Halden Foods joins the DAX", NEUTRAL)
    assert why is None
    assert NEUTRAL["positive"] < raised["positive"] < raised["neutral"]
    for text in (
        "Halden Bank never lost its banking licence",
        "Vantor joins the DAX as Halden leaves",
    ):
        assert rules.apply(text, NEUTRAL) == (NEUTRAL, None)


def test_its_numbers_are_those_of_the_code() -> None:
    words = " ".join(GUIDE.split())
    for said in (
        f"every {DEFAULT_INTERVAL // 60} minutes",
        f"({SHORTEST_INTERVAL} to {LONGEST_INTERVAL:,})",
        f"only looks every {watching.TICK_SECONDS:.0f} seconds",
        f"a lease of {watching.LEASE_SECONDS:.0f} seconds",
        f"the {grouping.WINDOW.total_seconds() / 3600:.0f} hours around it",
        f"at {grouping.THRESHOLD:.2f} or more",
        f"must reach {grouping.SAME_PUBLISHER:.2f}",
        f"up to {LEAD_CHARACTERS} characters",
        f"a gazetteer of {len(gazetteer())} listed ones",
        f"$TRIPTYCH_HOME/{RULES_FILE}",
    ):
        assert said in words


def test_its_allowed_addresses_are_understood() -> None:
    said = re.search(r"TRIPTYCH_ALLOWED_ADDRESSES=(\S+)", GUIDE)
    assert said is not None
    policy = AddressPolicy(tuple(said[1].split(",")))
    policy.check_ip("10.2.3.4", "10.2.3.4", 80)
    policy.check_url("http://127.0.0.1:8080/feed")


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_it_links_to_are_there(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[name]):
        assert "://" in target or ((ROOT / name).parent / target).is_file(), target
