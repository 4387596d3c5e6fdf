"""``triptych finance alerts``: the rules that raise alerts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from shared.command_line import (
    author_option,
    database,
    json_option,
    print_json,
    reports_errors,
    say,
)
from shared.errors import DataError
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.finance.alerts.rules import AlertRule


@click.command()
@json_option
@reports_errors
def rules(as_json: bool) -> None:
    """List the rules, the newest first."""
    from apps.finance.alerts.rule_store import RuleStore

    with database(Settings()) as engine:
        found = RuleStore(engine).list()
    if as_json:
        print_json({"rules": [rule_json(rule) for rule in found]})
        return
    for rule in found:
        state = "on " if rule.enabled else "off"
        click.echo(f"{rule.id}  {state}  {rule.kind:9}  {rule.scope}  {rule.name}")
    say(f"{len(found)} rules")


@click.command("add-rule")
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(["threshold", "fall", "burst", "event"]))
@click.option(
    "--scope",
    default="all",
    show_default=True,
    help="all, company:<id>, company:* (each watched company) or sector:<name>.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PARAMETER=VALUE",
    help="A parameter of the kind, such as level=-0.3, cooldown_hours=12, events=lawsuit,insolvency"
    " or quiet_hours.start=22:00. Repeatable; those left out have their defaults.",
)
@click.option("--disabled", is_flag=True, help="Keep it, but do not let it fire.")
@author_option
@json_option
@reports_errors
def add_rule(
    name: str,
    kind: str,
    scope: str,
    settings: tuple[str, ...],
    disabled: bool,
    author: str,
    as_json: bool,
) -> None:
    """Add a rule that holds from now on, under NAME."""
    from apps.finance.alerts.rule_store import RuleStore

    with database(Settings()) as engine:
        rule = RuleStore(engine).add(
            name=name,
            kind=kind,
            scope=scope,
            parameters=read_parameters(settings),
            author=author,
            now=datetime.now(UTC),
            enabled=not disabled,
        )
    if as_json:
        print_json(rule_json(rule))
    else:
        click.echo(f"{rule.id}  {rule.kind}  {rule.scope}  {rule.name}")


@click.command()
@click.argument("rule_id")
@author_option
@reports_errors
def enable(rule_id: str, author: str) -> None:
    """Let a rule fire."""
    _switch(rule_id, author, enabled=True)


@click.command()
@click.argument("rule_id")
@author_option
@reports_errors
def disable(rule_id: str, author: str) -> None:
    """Keep a rule, but do not let it fire."""
    _switch(rule_id, author, enabled=False)


@click.command("remove-rule")
@click.argument("rule_id")
@author_option
@reports_errors
def remove_rule(rule_id: str, author: str) -> None:
    """Forget a rule; its alerts stay."""
    from apps.finance.alerts.rule_store import RuleStore

    with database(Settings()) as engine:
        RuleStore(engine).remove(rule_id, author=author, now=datetime.now(UTC))
    click.echo(f"{rule_id} is removed")


def read_parameters(settings: tuple[str, ...]) -> dict[str, Any]:
    """Parameters from ``name=value``; a dot in the name goes one level down.

    A value is JSON where it reads as such, else text; ``events`` may be a list with commas.
    """
    parameters: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not (name.strip() and equals):
            raise DataError(f"{setting!r} sets nothing: write parameter=value")
        *path, last = name.strip().split(".")
        place = parameters
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise DataError(f"{part} is set twice, as a value and as a group")
        place[last] = _value(last, text.strip())
    return parameters


def rule_json(rule: AlertRule) -> dict[str, Any]:
    """The rule fit for JSON, with every parameter."""
    return rule.as_json() | {"enabled": rule.enabled, "created_at": rule.created_at.isoformat()}


def _value(name: str, text: str) -> Any:
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if name == "events" and isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _switch(rule_id: str, author: str, *, enabled: bool) -> None:
    from apps.finance.alerts.rule_store import RuleStore

    now = datetime.now(UTC)
    with database(Settings()) as engine:
        rule = RuleStore(engine).switch(rule_id, enabled=enabled, author=author, now=now)
    click.echo(f"{rule.name} is {'on' if enabled else 'off'}")
