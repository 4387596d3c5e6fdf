"""``triptych audit``: who changed what."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.settings import Settings


@click.command()
@click.option("--since", metavar="TIME", help="A date, a time, or how long ago: 36h, 10d, 4w.")
@click.option("--actor", help="A part of the name of a person or a key.")
@click.option("--action", help="A part of what was done, such as key, correction, promotion.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@reports_errors
def audit(
    since: str | None, actor: str | None, action: str | None, limit: int, as_json: bool
) -> None:
    """Show who changed what: keys, models, corrections, rules, targets, users forgotten.

    The newest first.
    """
    from shared.durations import read_moment
    from shared.serving.watching.logs import escaped
    from shared.storage.audit import read_audit

    begin = None if since is None else read_moment(since, datetime.now(UTC))
    with database(Settings()) as engine:
        lines = read_audit(engine, since=begin, actor=actor, action=action, limit=limit)
    if as_json:
        entries = [
            {
                "id": line.id,
                "at": line.at.isoformat(),
                "actor": line.actor,
                "action": line.action,
                "details": dict(line.details),
            }
            for line in lines
        ]
        print_json({"entries": entries})
        return
    if not lines:
        say("nothing of the kind was recorded")
    for line in lines:
        details = json.dumps(dict(line.details), ensure_ascii=False, default=str)
        told = f"{line.at:%Y-%m-%d %H:%M:%S}  {line.actor}  {line.action}  {details}"
        click.echo(escaped(told))
