"""``triptych keys``: create, list, rotate and revoke API keys."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from shared.command_line import actor_name, database, print_json, reports_errors, say
from shared.durations import read_duration
from shared.settings import Settings
from shared.tenants import DEFAULT_TENANT

if TYPE_CHECKING:
    from shared.serving.guards.keys import ApiKey, NewKey

SCOPES = ("use", "review", "admin")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def keys() -> None:
    """Create, list, rotate and revoke API keys."""


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
@click.option("--expires", metavar="TIME", help="It ends by itself: 24h, 90d, 52w. Never if unset.")
@click.option(
    "--rate-limit",
    metavar="RATE",
    help="Requests that it may make, such as 600/minute, instead of TRIPTYCH_RATE_LIMIT.",
)
@as_json
@reports_errors
def create(
    name: str,
    scopes: tuple[str, ...],
    tenant: str,
    expires: str | None,
    rate_limit: str | None,
    as_json: bool,
) -> None:
    """Make a key and print it, this once."""
    from shared.serving.guards.keys import create_key

    with database(Settings()) as engine:
        made = create_key(
            engine,
            name=name,
            scopes=scopes,
            actor=actor_name(),
            now=datetime.now(UTC),
            tenant=tenant,
            expires_in=None if expires is None else read_duration(expires),
            rate_limit=rate_limit,
        )
    if as_json:
        print_json(_new(made))
        return
    say(f"key {made.id} for {made.name!r}, scopes: {', '.join(made.scopes)}")
    if made.tenant != DEFAULT_TENANT:
        say(f"It opens the catalogue of {made.tenant!r}, and no other.")
    _hand_over(made)


@keys.command()
@click.argument("id")
@click.option(
    "--overlap",
    metavar="TIME",
    default="24h",
    show_default=True,
    help="How long the old key still opens; 0 ends it at once.",
)
@as_json
@reports_errors
def rotate(id: str, overlap: str, as_json: bool) -> None:
    """Make a key in place of the key ID, which ends by itself after the overlap."""
    from shared.serving.guards.keys import rotate_key

    with database(Settings()) as engine:
        old, made = rotate_key(
            engine,
            id,
            overlap=read_duration(overlap),
            actor=actor_name(),
            now=datetime.now(UTC),
        )
    if as_json:
        print_json({**_new(made), "old": _as_dict(asdict(old))})
        return
    ends = f"{old.expires_at:%Y-%m-%d %H:%M}"
    say(f"key {made.id} follows {old.id} ({old.name}), which ends on {ends} UTC")
    _hand_over(made)


@keys.command("list")
@as_json
@reports_errors
def list_command(as_json: bool) -> None:
    """List the keys, without their secrets."""
    from shared.serving.guards.keys import list_keys

    with database(Settings()) as engine:
        found = list_keys(engine)
    if as_json:
        print_json({"keys": [_as_dict(asdict(key)) for key in found]})
        return
    if not found:
        say("there are no keys: make one with `triptych keys create --name NAME`")
        return
    now = datetime.now(UTC)
    rows = [("ID", "NAME", "TENANT", "SCOPES", "CREATED", "LAST USED", "STATE")]
    for key in found:
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        made = f"{key.created_at:%Y-%m-%d}"
        scopes = ",".join(key.scopes)
        rows.append((key.id, key.name, key.tenant, scopes, made, used, _state(key, now)))
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
    from shared.serving.guards.keys import revoke_key

    with database(Settings()) as engine:
        key = revoke_key(engine, id, actor=actor_name(), now=datetime.now(UTC))
    if as_json:
        print_json(_as_dict(asdict(key)))
        return
    say(f"key {key.id} ({key.name}) is revoked")


def _hand_over(made: NewKey) -> None:
    if made.expires_at is not None:
        say(f"It ends by itself on {made.expires_at:%Y-%m-%d %H:%M} UTC.")
    say("Keep it now: it is stored as a digest only and cannot be shown again.")
    click.echo(made.secret)


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "valid"
    told = "valid until" if key.valid(now) else "ended"
    follows = f", then {key.rotated_to}" if key.rotated_to else ""
    return f"{told} {key.expires_at:%Y-%m-%d %H:%M}{follows}"


def _new(made: NewKey) -> dict[str, object]:
    return {
        "id": made.id,
        "name": made.name,
        "scopes": made.scopes,
        "tenant": made.tenant,
        "expires_at": made.expires_at and made.expires_at.isoformat(),
        "rate_limit": made.rate_limit,
        "key": made.secret,
    }


def _as_dict(key: dict[str, object]) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in key.items()
    }
