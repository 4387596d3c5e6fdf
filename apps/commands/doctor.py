"""``triptych doctor``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime

import click

from shared.command_line import json_option, print_json, reports_errors
from shared.settings import Settings

MARKS = {"ok": "ok     ", "warning": "WARNING", "error": "ERROR  "}


@click.command()
@click.option("--url", help="The API to look at; TRIPTYCH_API_URL, or http://127.0.0.1:8000.")
@json_option
@reports_errors
def doctor(url: str | None, as_json: bool) -> None:
    """Look at a running system, change nothing, and say what mends what is wrong.

    Exit status 1 where there is an error, 0 for warnings.
    """
    from apps.commands.doctor_checks import examine

    settings = Settings()
    found = examine(settings, url or settings.api_url, now=datetime.now(UTC))
    errors = sum(one.status == "error" for one in found)
    warnings = sum(one.status == "warning" for one in found)
    if as_json:
        print_json(
            {"errors": errors, "warnings": warnings, "checks": [asdict(one) for one in found]}
        )
    else:
        for one in found:
            click.echo(f"{MARKS[one.status]} {one.check}: {one.message}")
            if one.mend:
                click.echo(f"        -> {one.mend}")
        click.echo(f"{errors} errors, {warnings} warnings in {len(found)} checks")
    if errors:
        sys.exit(1)
