"""``triptych recommend experiments``: start, stop and read A/B tests of lists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from apps.recommend.commands.tenant_option import tenant_option
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
    from apps.recommend.experiments.assignment import Arm
    from apps.recommend.experiments.intervals import Interval
    from apps.recommend.experiments.results import ArmResult
    from apps.recommend.experiments.store import Experiment


@click.group()
def experiments() -> None:
    """A/B tests and their click rates. EXPERIMENT is an experiment's id."""


@experiments.command("list")
@tenant_option
@json_option
@reports_errors
def list_command(tenant: str, as_json: bool) -> None:
    """List a tenant's experiments, the newest first."""
    from apps.recommend.experiments.store import ExperimentStore

    with database(Settings()) as engine:
        found = ExperimentStore(engine, tenant).list()
    if as_json:
        print_json({"experiments": [_experiment(one) for one in found]})
        return
    if not found:
        say("there are no experiments: `triptych recommend experiments start` starts one")
    for one in found:
        arms = ", ".join(arm.name for arm in one.arms)
        click.echo(f"{one.id}  {one.state}  {one.created_at:%Y-%m-%d %H:%M}  {one.name} ({arms})")


@experiments.command()
@click.argument("name")
@click.option(
    "--arm",
    "arms",
    multiple=True,
    required=True,
    metavar="NAME[:SETTING=VALUE,...]",
    help="An arm and what it sets of lists: diversity, exploration, damping (0 to 1), "
    "category_cap, and its share of users (1 unless set). Repeatable.",
)
@tenant_option
@author_option
@json_option
@reports_errors
def start(name: str, arms: tuple[str, ...], tenant: str, author: str, as_json: bool) -> None:
    """Start experiment NAME, such as --arm plain --arm varied:diversity=0.4,share=0.5."""
    from apps.recommend.experiments.store import ExperimentStore

    read = [arm_of(arm) for arm in arms]
    with database(Settings()) as engine:
        store = ExperimentStore(engine, tenant)
        made = store.create(name, read, author=author, now=datetime.now(UTC))
    _show(made, as_json, f"experiment {made.id} ({made.name}) runs from now on")


@experiments.command()
@click.argument("experiment")
@tenant_option
@author_option
@json_option
@reports_errors
def stop(experiment: str, tenant: str, author: str, as_json: bool) -> None:
    """Assign no user to EXPERIMENT any more; what was counted stays."""
    from apps.recommend.experiments.store import ExperimentStore

    with database(Settings()) as engine:
        store = ExperimentStore(engine, tenant)
        stopped = store.stop(experiment, author=author, now=datetime.now(UTC))
    _show(stopped, as_json, f"experiment {stopped.id} ({stopped.name}) has stopped")


@experiments.command()
@click.argument("experiment")
@tenant_option
@author_option
@reports_errors
def remove(experiment: str, tenant: str, author: str) -> None:
    """Forget EXPERIMENT, which must have stopped, with what was counted."""
    from apps.recommend.experiments.store import ExperimentStore

    with database(Settings()) as engine:
        store = ExperimentStore(engine, tenant)
        store.remove(experiment, author=author, now=datetime.now(UTC))
    say(f"experiment {experiment} is removed")


@experiments.command()
@click.argument("experiment")
@tenant_option
@json_option
@reports_errors
def results(experiment: str, tenant: str, as_json: bool) -> None:
    """Each arm's lists, clicked lists and click rate, and its difference to the first arm."""
    from apps.recommend.experiments.results import results as results_of

    with database(Settings()) as engine:
        told = results_of(engine, tenant, experiment)
    if as_json:
        rows = [_arm_result(arm) for arm in told.arms]
        print_json({**_experiment(told.experiment), "results": rows})
        return
    click.echo(f"{told.experiment.name}, {told.experiment.state}")
    for arm in told.arms:
        click.echo(arm_line(arm))


def arm_of(text: str) -> Arm:
    """An arm as the command line writes it. Raises DataError."""
    from apps.recommend.experiments.assignment import Arm

    name, _, listed = text.partition(":")
    settings: dict[str, float | int] = {}
    for pair in filter(None, listed.split(",")):
        key, _, value = pair.partition("=")
        try:
            settings[key.strip()] = int(value) if key.strip() == "category_cap" else float(value)
        except ValueError as error:
            raise DataError(
                f"arm {text!r}: {pair!r} is no setting: write NAME:diversity=0.4,damping=0.1",
                arm=text,
            ) from error
    share = float(settings.pop("share", 1.0))
    return Arm(name.strip(), share, settings)


def arm_line(arm: ArmResult) -> str:
    """One arm in words."""
    counts = arm.counts
    line = f"  {arm.name}: {counts.clicked:,} of {counts.impressions:,} lists clicked"
    if arm.rate.estimate is None:
        return line
    line += f", {_percent(arm.rate)}"
    if arm.difference is not None and arm.difference.estimate is not None:
        line += f"; {_percent(arm.difference, sign='+')} against the first arm"
    return line


def _percent(interval: Interval, sign: str = "") -> str:
    shown = [
        f"{100 * (value or 0.0):{sign}.2f}"
        for value in (interval.estimate, interval.low, interval.high)
    ]
    return f"{shown[0]} % (95 %: {shown[1]} to {shown[2]})"


def _show(experiment: Experiment, as_json: bool, sentence: str) -> None:
    if as_json:
        print_json(_experiment(experiment))
    else:
        click.echo(sentence)


def _experiment(experiment: Experiment) -> dict[str, Any]:
    return {
        "id": experiment.id,
        "name": experiment.name,
        "state": experiment.state,
        "arms": [arm.as_json() for arm in experiment.arms],
        "created_by": experiment.created_by,
        "created_at": experiment.created_at.isoformat(),
        "stopped_at": experiment.stopped_at.isoformat() if experiment.stopped_at else None,
    }


def _arm_result(arm: ArmResult) -> dict[str, Any]:
    def interval(of: Interval | None) -> dict[str, float | None] | None:
        return None if of is None else {"estimate": of.estimate, "low": of.low, "high": of.high}

    return {
        "arm": arm.name,
        "impressions": arm.counts.impressions,
        "clicked": arm.counts.clicked,
        "users": arm.counts.users,
        "rate": interval(arm.rate),
        "difference": interval(arm.difference),
    }
