"""A search as a table for people, with the line that trains by the best recipe."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from shared.command_line import print_json

SHOWN = 10
"""Trials in the table, the best of them first."""


def show_search(found: dict[str, Any], *, as_json: bool) -> None:
    """What ``models.search_run`` found as one JSON object, or as a table."""
    if as_json:
        print_json(found)
        return
    counts = ", ".join(f"{count} {state}" for state, count in found["counts"].items() if count)
    table = Table(title=f"{found['app']}: {counts} in {found['seconds']:.0f} s")
    for heading in ("trial", "validation accuracy", "recipe"):
        table.add_column(heading, overflow="fold")
    done = [trial for trial in found["trials"] if trial["state"] == "done"]
    best_first = sorted(
        done, key=lambda trial: (-trial["validation_accuracy"], trial["validation_loss"])
    )
    for trial in best_first[:SHOWN]:
        what = ", ".join(f"{name} {value}" for name, value in trial["recipe"].items())
        table.add_row(str(trial["number"]), f"{100 * trial['validation_accuracy']:.2f} %", what)
    Console().print(table)
    click.echo(f"plot: {found['plot']}")
    click.echo("train by the best recipe:")
    click.echo(f"  {found['command']}")
