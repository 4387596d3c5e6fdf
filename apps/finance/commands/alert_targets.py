"""``triptych finance alerts``: where alerts are sent, and sending them."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime

import click

from shared.command_line import (
    author_option,
    database,
    json_option,
    print_json,
    reports_errors,
    say,
)
from shared.settings import Settings


@click.command()
@json_option
@reports_errors
def targets(as_json: bool) -> None:
    """List where alerts are sent."""
    from apps.finance.alerts.targets import TargetStore

    with database(Settings()) as engine:
        found = TargetStore(engine).list()
    if as_json:
        rows = [
            {
                "id": target.id,
                "channel": target.channel,
                "address": target.address,
                "signed": target.secret is not None,
                "enabled": target.enabled,
                "created_at": target.created_at.isoformat(),
            }
            for target in found
        ]
        print_json({"targets": rows})
        return
    for target in found:
        click.echo(f"{target.id}  {target.channel:8}  {target.address}")
    say(f"{len(found)} targets")


@click.command("add-target")
@click.argument("channel", type=click.Choice(["webhook", "email"]))
@click.argument("address")
@click.option(
    "--secret-from",
    metavar="VARIABLE",
    help="The environment variable with the secret that signs webhooks; unset: a new one, shown"
    " once.",
)
@author_option
@json_option
@reports_errors
def add_target(
    channel: str, address: str, secret_from: str | None, author: str, as_json: bool
) -> None:
    """Send the alerts of the future to ADDRESS too.

    A webhook's receiver checks the signature with the secret; docs/alerts.md shows how.
    """
    from apps.finance.alerts.targets import TargetStore

    given = None
    if secret_from is not None:
        given = os.environ.get(secret_from)
        if not given:
            raise click.UsageError(f"the environment variable {secret_from} is not set")
    settings = Settings()
    with database(settings) as engine:
        target = TargetStore(engine).add(
            channel=channel,
            address=address,
            policy=settings.address_policy(),
            author=author,
            now=datetime.now(UTC),
            secret=given,
        )
    new_secret = target.secret if given is None else None
    if as_json:
        shown = {"id": target.id, "channel": channel, "address": address}
        print_json(shown | {"secret": new_secret} if new_secret else shown)
        return
    click.echo(f"{target.id}  {target.channel}  {target.address}")
    if new_secret:
        click.echo(f"secret  {new_secret}")
        say("this is the only time that the secret is shown")


@click.command("remove-target")
@click.argument("target_id")
@author_option
@reports_errors
def remove_target(target_id: str, author: str) -> None:
    """Send no more alerts there, not even those that wait."""
    from apps.finance.alerts.targets import TargetStore

    with database(Settings()) as engine:
        TargetStore(engine).remove(target_id, author=author, now=datetime.now(UTC))
    click.echo(f"{target_id} is removed")


@click.command()
@json_option
@reports_errors
def deliver(as_json: bool) -> None:
    """Send what is due now, once; `triptych finance watch` does it all the time."""
    from shared.monitoring.delivery import deliver_due
    from shared.monitoring.mail import MailSettings
    from shared.monitoring.senders import alert_senders

    settings = Settings()
    with (
        database(settings) as engine,
        alert_senders(settings.address_policy(), MailSettings()) as senders,
    ):
        counts = deliver_due(engine, datetime.now(UTC), senders)
    if as_json:
        print_json(asdict(counts))
    else:
        click.echo(
            f"{counts.delivered} delivered, {counts.failed} to be tried again,"
            f" {counts.given_up} given up"
        )
