"""``triptych finance backtest``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from apps.finance.commands.moments import moment
from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.errors import DataError
from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from apps.finance.alerts.evaluation import Firing
    from apps.finance.alerts.rules import AlertRule


@click.command()
@click.option(
    "--rule",
    "wanted",
    multiple=True,
    help="A rule's id or name, or a rule as JSON with kind, scope and parameters. Repeatable;"
    " unset: all rules that are enabled.",
)
@click.option("--since", default="30d", show_default=True, help="A time, or so long ago.")
@click.option("--until", help="A time, or so long ago; unset: now.")
@click.option(
    "--as-published",
    is_flag=True,
    help="Take stories as known when they were published: for archives read in at once.",
)
@json_option
@reports_errors
def backtest(
    wanted: tuple[str, ...], since: str, until: str | None, as_published: bool, as_json: bool
) -> None:
    """When rules would have fired on the stories that are stored. Nothing is sent or written.

    Rules are evaluated at each full hour and whenever a story was read, on what was known by then.
    Scores are those stored now: a story that was scored again since counts with its new score.
    """
    from apps.finance.alerts.backtest_queries import stored_backtest

    now = datetime.now(UTC)
    begin, end = moment(since, now), moment(until, now) if until else now
    with database(Settings()) as engine:
        rules = _rules(engine, wanted, now)
        firings = stored_backtest(engine, rules, since=begin, until=end, as_published=as_published)
    if as_json:
        print_json(
            {
                "since": begin.isoformat(),
                "until": end.isoformat(),
                "rules": [rule.as_json() for rule in rules],
                "alerts": [_as_json(firing) for firing in firings],
            }
        )
        return
    say(f"{len(rules)} rules, {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC")
    for firing in firings:
        numbers = ", ".join(f"{name} {_shown(value)}" for name, value in firing.numbers.items())
        click.echo(
            f"{firing.fired_at:%Y-%m-%d %H:%M}  {firing.rule.name}  {firing.subject}  {numbers}"
        )
    say(f"{len(firings)} alerts")


def _rules(engine: Engine, wanted: tuple[str, ...], now: datetime) -> list[AlertRule]:
    from apps.finance.alerts.rule_store import RuleStore

    stored = RuleStore(engine).list()
    if not wanted:
        return [rule for rule in stored if rule.enabled]
    return [_rule(text, stored, number, now) for number, text in enumerate(wanted, start=1)]


def _rule(text: str, stored: tuple[AlertRule, ...], number: int, now: datetime) -> AlertRule:
    """The stored rule of that id or name, or the one that the JSON describes; enabled."""
    from dataclasses import replace

    if text.lstrip().startswith("{"):
        return _read_rule(text, number, now)
    found = [rule for rule in stored if text in (rule.id, rule.name)]
    if len(found) != 1:
        ids = ", ".join(rule.id for rule in found)
        raise DataError(
            f"{text!r} names several rules: give one of the ids {ids}"
            if found
            else f"there is no rule {text!r}: `triptych finance alerts rules` lists them",
            rule=text,
        )
    return replace(found[0], enabled=True)


def _read_rule(text: str, number: int, now: datetime) -> AlertRule:
    from apps.finance.alerts.rules import make_rule

    try:
        parts: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"the rule is no JSON: {error}") from error
    unknown = sorted(set(parts) - {"kind", "scope", "parameters", "name"})
    if unknown or not isinstance(parts.get("parameters", {}), dict):
        raise DataError(
            "a rule as JSON has a kind, a scope, parameters (an object) and a name"
            + (f", and no {unknown[0]}" if unknown else "")
        )
    kind = str(parts.get("kind", ""))
    return make_rule(
        id=f"rule{number}",
        name=str(parts.get("name") or kind or "rule"),
        kind=kind,
        scope=str(parts.get("scope", "all")),
        parameters=parts.get("parameters", {}),
        enabled=True,
        author="backtest",
        created_at=now,
    )


def _as_json(firing: Firing) -> dict[str, Any]:
    return {
        "rule_id": firing.rule.id,
        "rule": firing.rule.name,
        "subject": firing.subject,
        "fired_at": firing.fired_at.isoformat(),
        "sent_at": firing.send_at.isoformat(),
        "numbers": dict(firing.numbers),
        "story_ids": list(firing.story_ids),
    }


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
