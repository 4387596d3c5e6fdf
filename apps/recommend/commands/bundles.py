"""``triptych recommend refit`` and ``triptych recommend bundles``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

import click

from apps.recommend.commands.tenant_option import tenant_option
from shared.command_line import (
    actor_name,
    author_option,
    database,
    json_option,
    print_json,
    reports_errors,
    say,
)
from shared.errors import SettingsError
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.recommend.operations.refit import RefitReport
    from models.registry import ModelRegistry, ModelVersion, Promotion

SHOWN = ("recall@10", "ndcg@10", "coverage@10")


class _Hour(click.ParamType[time]):
    name = "HH:MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> time:
        try:
            return datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007 - an hour of each day
        except ValueError:
            self.fail(f"{value!r} is no time of day: write 03:00", param, ctx)


@click.command()
@tenant_option
@click.option(
    "--nightly",
    type=_Hour(),
    help="Stay, and refit all tenants each night at this time (UTC) and when the API is asked.",
)
@click.option("--wished", is_flag=True, help="Refit what the API was asked for, then leave.")
@json_option
@reports_errors
def refit(tenant: str, nightly: time | None, wished: bool, as_json: bool) -> None:
    """Fit a bundle on what is stored, and put it in use unless it is worse than the present one.

    The bundle in use serves until then. Several processes may refit; each tenant's bundle is
    fitted by one at a time. Ends with status 1 where a refit failed; a bundle that the gate refused
    is no failure, and stays to be looked at.
    """
    if nightly is not None and wished:
        raise SettingsError("--nightly serves wishes too: give one of --nightly and --wished")

    from apps.recommend.operations import assembly
    from apps.recommend.operations import nightly as nights
    from apps.recommend.tenants import check_tenant
    from shared.serving.watching.logs import configure_logging

    settings, reports = Settings(), []
    configure_logging(settings.log_format, level=settings.log_level)

    def tell(report: RefitReport) -> None:
        reports.append(report)
        bundle = f" (bundle {report.version})" if report.version else ""
        say(f"{report.tenant}: {report.outcome}{bundle}: {report.reason}")

    with database(settings) as engine:
        refits = assembly.refit_of(settings, engine)
        rounds = assembly.rounds_of(engine, refits, author=actor_name())
        if nightly is not None:
            say(f"refits at {nightly:%H:%M} UTC and as wished, until stopped")
            nights.serve_refits(
                rounds,
                nightly=nightly,
                clock=assembly.utc_now,
                report=tell,
                on_start=_stop_on_signals,
            )
        elif wished:
            for report in rounds.fit_what_is_due():
                tell(report)
        else:
            tell(refits.run(check_tenant(tenant), author=actor_name()))
    if as_json:
        print_json({"refits": [asdict(report) for report in reports]})
    # Each wish's failure stands in its tenant's state: the process itself did what it was for.
    if nightly is None and not wished and reports[-1].outcome in ("failed", "busy"):
        sys.exit(1)


@click.group()
def bundles() -> None:
    """List, promote and roll back bundles."""


@bundles.command("list")
@tenant_option
@json_option
@reports_errors
def list_command(tenant: str, as_json: bool) -> None:
    """List a tenant's bundles, newest first; the one in use is marked."""
    registry, app = _opened(tenant)
    in_use = registry.in_use(app)
    versions = registry.versions(app)
    if as_json:
        rows = [_summary(version, in_use) for version in versions]
        print_json({"tenant": tenant, "in_use": in_use, "bundles": rows})
        return
    if not versions:
        say(f"{tenant} has no bundle yet: `triptych recommend refit` fits one")
    for version in versions:
        metrics = version.card.get("metrics") or {}
        told = "  ".join(f"{name} {metrics[name]:.3f}" for name in SHOWN if name in metrics)
        mark = "*" if version.name == in_use else " "
        click.echo(f"{mark} {version.name}  {version.created_at:%Y-%m-%d %H:%M}  {told}".rstrip())


@bundles.command()
@click.argument("version")
@click.option("--force", is_flag=True, help="Go past the gate; the history records it.")
@tenant_option
@author_option
@json_option
@reports_errors
def promote(version: str, force: bool, tenant: str, author: str, as_json: bool) -> None:
    """Put bundle VERSION in use, unless it is worse than the one in use.

    VERSION may be the beginning of a name.
    """
    registry, app = _opened(tenant)
    candidate = registry.get(app, version)

    from models.promotion import gate_and_promote  # imports torch: not before it is needed

    now = datetime.now(UTC)
    _changed(
        gate_and_promote(registry, app, candidate, author=author, now=now, force=force), as_json
    )


@bundles.command()
@tenant_option
@author_option
@json_option
@reports_errors
def rollback(tenant: str, author: str, as_json: bool) -> None:
    """Put the bundle before the present one back in use."""
    registry, app = _opened(tenant)
    _changed(registry.rollback(app, author=author, now=datetime.now(UTC)), as_json)


def _opened(tenant: str) -> tuple[ModelRegistry, str]:
    from apps.recommend.tenants import registry_app
    from models.promotion_audit import audited_registry

    return audited_registry(Settings()), registry_app(tenant)


def _changed(promotion: Promotion, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(promotion), "at": promotion.at.isoformat()})
        return
    instead = f" in place of {promotion.previous}" if promotion.previous else ""
    click.echo(f"{promotion.app} now uses {promotion.version}{instead}\n{promotion.reason}")


def _summary(version: ModelVersion, in_use: str | None) -> dict[str, Any]:
    return {
        "version": version.name,
        "created_at": version.created_at.isoformat(),
        "in_use": version.name == in_use,
        "method": version.card.get("method"),
        "data": version.card.get("data", {}),
        "metrics": version.card.get("metrics", {}),
    }


def _stop_on_signals(stop: Callable[[], None]) -> None:
    def on_signal(number: int, frame: Any) -> None:
        say("stopping: a refit in hand is finished first")
        stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
