"""``triptych finance alerts``: what fired, and what people do with it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from apps.finance.commands.alert_rules import add_rule, disable, enable, remove_rule, rules
from apps.finance.commands.alert_targets import add_target, deliver, remove_target, targets
from apps.finance.commands.moments import later_moment
from shared.command_line import (
    author_option,
    database,
    json_option,
    print_json,
    reports_errors,
    say,
)
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.finance.alerts.store import Alert, AlertState

note_option = click.option("--note", default="", help="Words that are kept with it.")


@click.group()
def alerts() -> None:
    """Rules, alerts and where they are sent."""


for command in (
    rules,
    add_rule,
    enable,
    disable,
    remove_rule,
    targets,
    add_target,
    remove_target,
    deliver,
):
    alerts.add_command(command)


@alerts.command("list")
@click.option(
    "--state",
    type=click.Choice(["open", "acknowledged", "snoozed", "closed"]),
    help="Only those that stand so.",
)
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@json_option
@reports_errors
def list_alerts(state: AlertState | None, limit: int, as_json: bool) -> None:
    """The newest alerts, each with its rule, numbers, stories and deliveries."""
    from apps.finance.alerts.store import AlertStore

    now = datetime.now(UTC)
    with database(Settings()) as engine:
        page = AlertStore(engine).page(now=now, state=state, limit=limit)
    if as_json:
        more = page.next_cursor is not None
        print_json({"alerts": [alert_json(alert) for alert in page.alerts], "more": more})
        return
    for alert in page.alerts:
        click.echo(
            f"{alert.id}  {alert.fired_at:%Y-%m-%d %H:%M}  {alert.state:12}  {alert.subject}"
            f"  {alert.rule['name']}  {len(alert.story_ids)} stories"
        )
    say(f"{len(page.alerts)} alerts{' and older ones' if page.next_cursor else ''}")


@alerts.command()
@click.argument("alert_id")
@note_option
@author_option
@json_option
@reports_errors
def ack(alert_id: str, note: str, author: str, as_json: bool) -> None:
    """Acknowledge an alert: say that a person has it."""
    from apps.finance.alerts.store import AlertStore

    now = datetime.now(UTC)
    with database(Settings()) as engine:
        alert = AlertStore(engine).acknowledge(alert_id, author=author, now=now, note=note)
    _show(alert, as_json)


@alerts.command()
@click.argument("alert_id")
@click.option("--until", required=True, help="A time, or 4h, 2d, 1w from now.")
@note_option
@author_option
@json_option
@reports_errors
def snooze(alert_id: str, until: str, note: str, author: str, as_json: bool) -> None:
    """Put an alert aside; it opens again by itself."""
    from apps.finance.alerts.store import AlertStore

    now = datetime.now(UTC)
    moment = later_moment(until, now)
    with database(Settings()) as engine:
        alert = AlertStore(engine).snooze(alert_id, moment, author=author, now=now, note=note)
    _show(alert, as_json)


@alerts.command()
@click.argument("alert_id")
@note_option
@author_option
@json_option
@reports_errors
def close(alert_id: str, note: str, author: str, as_json: bool) -> None:
    """Be done with an alert."""
    from apps.finance.alerts.store import AlertStore

    now = datetime.now(UTC)
    with database(Settings()) as engine:
        alert = AlertStore(engine).close(alert_id, author=author, now=now, note=note)
    _show(alert, as_json)


def alert_json(alert: Alert) -> dict[str, Any]:
    """The alert fit for JSON, times in ISO 8601."""
    shown: dict[str, Any] = _plain(asdict(alert))
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _show(alert: Alert, as_json: bool) -> None:
    if as_json:
        print_json(alert_json(alert))
        return
    until = f" until {alert.snoozed_until:%Y-%m-%d %H:%M} UTC" if alert.snoozed_until else ""
    click.echo(f"{alert.id} is {alert.state}{until}")
