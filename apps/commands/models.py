"""``triptych models``: list, show, promote and roll back the versions of an app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from shared.command_line import print_json, reports_errors, say, user_name
from shared.settings import Settings

if TYPE_CHECKING:
    from models.registry import ModelRegistry, ModelVersion, Promotion

of_app = click.option("--app", default="support", show_default=True, help="The app.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
by_author = click.option("--author", help="Who does it; by default the user of this machine.")


@click.group()
def models() -> None:
    """List, show, promote and roll back the versions of an app."""


def _registry() -> ModelRegistry:
    from models.registry import ModelRegistry

    return ModelRegistry(Settings().models)


def _promoting() -> ModelRegistry:
    """The registry whose promotions stand in the audit log."""
    from models.promotion_audit import audited_registry

    return audited_registry(Settings())


@models.command("list")
@of_app
@as_json
@reports_errors
def list_command(app: str, as_json: bool) -> None:
    """List the versions, newest first; the one in use is marked."""
    registry = _registry()
    in_use = registry.in_use(app)
    versions = registry.versions(app)
    if as_json:
        rows = [_summary(version, in_use) for version in versions]
        print_json({"app": app, "in_use": in_use, "versions": rows})
        return
    if not versions:
        say(f"{app} has no version yet: `triptych train {app} --data NAME_OR_PATH` makes one")
        return
    head = ("", "version", "created", "method", "train", "accuracy", "macro-F1", "answered")
    click.echo(_aligned([head, *(_row(version, in_use) for version in versions)]))


@models.command()
@click.argument("version", required=False)
@of_app
@as_json
@reports_errors
def show(version: str | None, app: str, as_json: bool) -> None:
    """Show a version's card; without VERSION, that of the one in use.

    VERSION may be the beginning of a name.
    """
    from models.runtime.files import read_verdict

    registry = _registry()
    found = registry.get(app, version)
    registry.verify(found)
    in_use = registry.in_use(app) == found.name
    report = found.folder / "report.html"
    address = str(report) if report.is_file() else None
    verdict = read_verdict(found)
    if as_json:
        print_json(
            {
                "app": app,
                "version": found.name,
                "in_use": in_use,
                "runtime": None if verdict is None else verdict.as_json(),
                "folder": str(found.folder),
                "report": address,
                "card": dict(found.card),
            }
        )
        return
    click.echo(f"{found.name}{', in use' if in_use else ''}\n")
    click.echo("\n".join(_card_lines(found.card)))
    if verdict is not None:
        click.echo(f"runtime\n  served by: {verdict.chosen}\n  {verdict.reason}")
    click.echo(f"\nfiles   {found.folder} (all as they were made)")
    if address is not None:
        click.echo(f"report  {address}")


@models.command()
@click.argument("version", required=False)
@of_app
@as_json
@reports_errors
def runtime(version: str | None, app: str, as_json: bool) -> None:
    """Make and measure what a version is served by; without VERSION, of the one in use.

    Promotion does it by itself; after a move to another kind of processor it is worth repeating.
    """
    registry = _registry()
    found = registry.get(app, version)

    from models.runtime.building import prepare_version  # imports torch: not before it is needed

    verdict = prepare_version(registry, found, again=True)
    if as_json:
        print_json({"app": app, "runtime": None if verdict is None else verdict.as_json()})
    elif verdict is None:
        say(f"{found.name} of {app} has no text classifier: its encoder alone was looked after")
    else:
        click.echo(f"{found.name} is served by {verdict.chosen}\n{verdict.reason}")


@models.command()
@click.argument("version")
@of_app
@click.option("--force", is_flag=True, help="Go past the gate; the history records it.")
@by_author
@as_json
@reports_errors
def promote(version: str, app: str, force: bool, author: str | None, as_json: bool) -> None:
    """Put VERSION in use, unless it is worse on the gate split than the one in use."""
    registry = _promoting()
    candidate = registry.get(app, version)

    from models.promotion import gate_and_promote  # imports torch: not before it is needed

    promotion = gate_and_promote(
        registry,
        app,
        candidate,
        author=author or user_name(),
        now=datetime.now(UTC),
        force=force,
    )
    _report(promotion, as_json)


@models.command()
@of_app
@by_author
@as_json
@reports_errors
def rollback(app: str, author: str | None, as_json: bool) -> None:
    """Put the version before the present one back in use."""
    done = _promoting().rollback(app, author=author or user_name(), now=datetime.now(UTC))
    _report(done, as_json)


def _report(promotion: Promotion, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(promotion), "at": promotion.at.isoformat()})
        return
    instead = f" in place of {promotion.previous}" if promotion.previous else ""
    click.echo(f"{promotion.app} now uses {promotion.version}{instead}\n{promotion.reason}")


def _summary(version: ModelVersion, in_use: str | None) -> dict[str, Any]:
    return {
        "app": version.app,
        "version": version.name,
        "created_at": version.created_at.isoformat(),
        "method": version.card.get("method"),
        "encoder": version.card.get("encoder"),
        "metrics": version.card.get("metrics", {}),
        "in_use": version.name == in_use,
    }


def _row(version: ModelVersion, in_use: str | None) -> tuple[str, ...]:
    metrics = version.card.get("metrics", {})
    train = version.card.get("data", {}).get("train")
    return (
        "*" if version.name == in_use else "",
        version.name,
        f"{version.created_at:%Y-%m-%d %H:%M}",
        str(version.card.get("method", "")),
        "" if train is None else f"{train:,}",
        *(_percent(metrics.get(name)) for name in ("accuracy", "macro_f1", "coverage_at_target")),
    )


def _percent(share: Any) -> str:
    return f"{100 * share:.1f} %" if isinstance(share, int | float) else "-"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _card_lines(card: Mapping[str, Any], indent: str = "") -> list[str]:
    """The card as indented lines; the labels are counted, since there may be hundreds."""
    lines = []
    for key, value in card.items():
        name = key.replace("_", " ")
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}", *_card_lines(value, indent + "  ")]
        elif key == "labels":
            lines.append(f"{indent}classes: {len(value)}")
        elif isinstance(value, list) and any(isinstance(item, str) for item in value):
            lines += [f"{indent}{name}", *(f"{indent}  - {item}" for item in value)]
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else value
            lines.append(f"{indent}{name}: {shown}")
    return lines
