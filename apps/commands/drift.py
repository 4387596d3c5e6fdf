"""``triptych drift``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine


@click.group()
def drift() -> None:
    """Compare what the apps read now with what their versions were made of."""


@drift.command()
@click.argument("app", required=False, type=click.Choice(["support", "finance", "recommend"]))
@click.option(
    "--alpha",
    type=click.FloatRange(0.0001, 0.2),
    default=0.001,
    show_default=True,
    help="The chance of a false alarm that one check may have.",
)
@click.option("--quiet", is_flag=True, help="Keep the report, and raise no alert.")
@json_option
@reports_errors
def check(app: str | None, alpha: float, quiet: bool, as_json: bool) -> None:
    """Check APP, or all, now; drift that is news goes to the targets of alerts.

    The API does this by itself every few hours (TRIPTYCH_DRIFT_HOURS). Exit status 0 whether or
    not there is drift.
    """
    from apps.commands.drift_checks import APPS, check_app
    from models.registry import ModelRegistry
    from shared.monitoring.drift import DriftLimits
    from shared.monitoring.drift_alerts import keep_report

    settings, now = Settings(), datetime.now(UTC)
    registry, limits = ModelRegistry(settings.models), DriftLimits(alpha=alpha)
    reports: list[dict[str, Any]] = []
    alerted = False
    with database(settings) as engine:
        for name in (app,) if app else APPS:
            for report in check_app(name, engine, registry, settings, limits, now=now):
                alert = keep_report(engine, report, alert=not quiet)
                alerted = alerted or alert is not None
                reports.append({**report.as_json(), "alert": alert})
        if alerted:
            _send(settings, engine)
    _show(reports, as_json)


@drift.command()
@json_option
@reports_errors
def show(as_json: bool) -> None:
    """What the last check of each app found."""
    from shared.monitoring.drift_alerts import last_reports

    with database(Settings()) as engine:
        reports = last_reports(engine)
    _show(reports, as_json)


def _send(settings: Settings, engine: Engine) -> None:
    """Send what is due; what does not arrive is tried again by the watcher, or the next check."""
    from shared.monitoring.delivery import deliver_due
    from shared.monitoring.mail import MailSettings
    from shared.monitoring.senders import alert_senders

    with alert_senders(settings.address_policy(), MailSettings()) as senders:
        deliver_due(engine, datetime.now(UTC), senders)


def _show(reports: list[Mapping[str, Any]] | list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"reports": reports})
        return
    from shared.monitoring.drift_history import ADVICE

    if not reports:
        say("nothing to compare: no version is in use, or none was checked yet")
    for one in reports:
        click.echo(
            f"{one['app']} {one['version']}: {one['verdict']}"
            f" ({one['live']} readings against {one['reference']})"
        )
        for signal in one["signals"]:
            mark = "DRIFT " if signal["drifted"] else "stable"
            click.echo(
                f"  {mark} {signal['name']:13} {signal['value']:.3f}, by chance"
                f" {signal['by_chance']:.3f}, p {signal['adjusted']:.4f}: {signal['words']}"
            )
            if signal["drifted"]:
                click.echo(f"         {ADVICE[signal['name']]}")
