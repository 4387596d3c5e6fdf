"""``triptych recommend forget``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import click

from apps.recommend.commands.tenant_option import tenant_option
from shared.command_line import actor_name, database, json_option, print_json, reports_errors, say
from shared.settings import Settings


@click.command()
@click.argument("user", metavar="USER")
@tenant_option
@json_option
@reports_errors
def forget(user: str, tenant: str, as_json: bool) -> None:
    """Remove USER's events, impressions and clicks at once, and print the receipt.

    Lists know nothing of them from then on, and the next bundle is fitted without them.
    """
    from apps.recommend.forgetting import forget as forget_user

    with database(Settings()) as engine:
        receipt = forget_user(engine, tenant, user, datetime.now(UTC), actor=actor_name())
    if as_json:
        print_json({**asdict(receipt), "at": receipt.at.isoformat()})
        return
    removed = ", ".join(f"{count:,} {kind}" for kind, count in receipt.removed.items())
    say(f"removed {removed}")
    say(f"receipt {receipt.id}, user hash {receipt.user_hash}")
