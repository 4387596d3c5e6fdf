"""``triptych keys``: create, list and revoke API keys."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import click

from shared.command_line import actor_name, database, print_json, reports_errors, say
from shared.settings import Settings
from shared.tenants import DEFAULT_TENANT

SCOPES = ("use", "review", "admin")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command()
@click.option("--name", required=True, help="Who or what will use the key.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("use",),
    show_default=True,
    help="What it may do; may be given several times. admin implies all.",
)
@click.option(
    "--tenant",
    default=DEFAULT_TENANT,
    show_default=True,
    help="The product team whose catalogue it opens in the recommender.",
)
@as_json
@reports_errors
def create(name: str, scopes: tuple[str, ...], tenant: str, as_json: bool) -> None:
    """Make a key and print it, this once."""
    from shared.serving.keys import create_key

    with database(Settings()) as engine:
        made = create_key(
            engine,
            name=name,
            scopes=scopes,
            actor=actor_name(),
            now=datetime.now(UTC),
            tenant=tenant,
        )
    if as_json:
        print_json(
            {
                "id": made.id,
                "name": made.name,
                "scopes": made.scopes,
                "tenant": made.tenant,
                "key": made.secret,
            }
        )
        return
    say(f"key {made.id} for {made.name!r}, scopes: {', '.join(made.scopes)}")
    if made.tenant != DEFAULT_TENANT:
        say(f"It opens the catalogue of {made.tenant!r}, and no other.")
    say("Keep it now: it is stored as a digest only and cannot be shown again.")
    click.echo(made.secret)


@keys.command("list")
@as_json
@reports_errors
def list_command(as_json: bool) -> None:
    """List the keys, without their secrets."""
    from shared.serving.keys import list_keys

    with database(Settings()) as engine:
        found = list_keys(engine)
    if as_json:
        print_json({"keys": [_as_dict(asdict(key)) for key in found]})
        return
    if not found:
        say("there are no keys: make one with `triptych keys create --name NAME`")
        return
    rows = [("ID", "NAME", "TENANT", "SCOPES", "CREATED", "LAST USED", "STATE")]
    for key in found:
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "valid"
        made = f"{key.created_at:%Y-%m-%d}"
        rows.append((key.id, key.name, key.tenant, ",".join(key.scopes), made, used, state))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@keys.command()
@click.argument("id")
@as_json
@reports_errors
def revoke(id: str, as_json: bool) -> None:
    """End the key of that ID at once."""
    from shared.serving.keys import revoke_key

    with database(Settings()) as engine:
        key = revoke_key(engine, id, actor=actor_name(), now=datetime.now(UTC))
    if as_json:
        print_json(_as_dict(asdict(key)))
        return
    say(f"key {key.id} ({key.name}) is revoked")


def _as_dict(key: dict[str, object]) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in key.items()
    }
