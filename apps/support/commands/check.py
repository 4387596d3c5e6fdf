"""``triptych support check``: what may be wrong with a data set, for people or for programs."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import TYPE_CHECKING

import click

from shared.command_line import print_json, reports_errors

if TYPE_CHECKING:
    from rich.console import Console

    from shared.api.support import CheckFinding, CheckReport

MOST_SHOWN = 10
"""Findings of one kind that the table shows; ``--json`` holds them all."""


@click.command()
@click.argument("data")
@click.option("--text-column", help="Column of the texts; guessed from usual names.")
@click.option("--label-column", help="Column of the labels; guessed from usual names.")
@click.option("--query", help="SQL query, when DATA is a database address.")
@click.option("--encoder", help="Encoder name or folder; the packaged MiniLM if not given.")
@click.option("--seed", default=0, show_default=True, help="Seed of the cross-validation.")
@click.option("--fail-on-warnings", is_flag=True, help="Exit status 1 when there are warnings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@reports_errors
def check(
    data: str,
    text_column: str | None,
    label_column: str | None,
    query: str | None,
    encoder: str | None,
    seed: int,
    fail_on_warnings: bool,
    as_json: bool,
) -> None:
    """Look for faults in DATA: a file, a public data set, or sample:support."""
    from apps.support.doctor import check_dataset
    from apps.support.learning.training_data import load_source
    from data_connectors.data_source import DataSource
    from models.encoder_store import load_encoder
    from shared.finetuning.hardware import choose_hardware
    from shared.finetuning.progress import ConsoleProgress
    from shared.settings import Settings

    settings = Settings()
    dataset = load_source(DataSource(data, text_column, label_column, query), settings)
    hardware = choose_hardware(settings.device)
    with ConsoleProgress() as progress:
        report = check_dataset(
            dataset,
            encoder=load_encoder(encoder or settings.encoder).to(hardware.device),
            seed=seed,
            report=progress,
            hardware=hardware,
        )
    if as_json:
        print_json({"data": dataset.name, **report.model_dump(mode="json")})
    else:
        from rich.console import Console

        print_report(Console(), dataset.name, report)
    if fail_on_warnings and report.warnings:
        sys.exit(1)


def print_report(console: Console, name: str, report: CheckReport) -> None:
    """The counts, then a table for each kind of finding, warnings first."""
    console.print(
        f"[bold]{_plain(name)}[/bold]: {report.rows:,} rows, {report.rejected:,} rejected, "
        f"{report.classes:,} classes, checked in {report.seconds:.1f} s"
    )
    for _, group in groupby(report.findings, key=lambda one: (one.severity, one.kind)):
        console.print()
        _print_kind(console, list(group))
    console.print()
    if report.warnings:
        console.print(f"[yellow]{report.warnings:,} warnings[/yellow]")
    else:
        console.print("[green]no warnings[/green]")


def _print_kind(console: Console, findings: list[CheckFinding]) -> None:
    from rich.table import Table

    colour = "yellow" if findings[0].severity == "warning" else "cyan"
    title = findings[0].kind.replace("_", " ")
    table = Table(
        title=f"{title} · {len(findings):,}", title_justify="left", title_style=f"bold {colour}",
        box=None, show_header=True, header_style="dim", pad_edge=False, expand=False,
    )  # fmt: skip
    table.add_column("rows", max_width=18, style="dim")
    table.add_column("what was found", overflow="fold")
    for finding in findings[:MOST_SHOWN]:
        table.add_row(_rows(finding.rows), _plain(finding.message))
    console.print(table)
    if len(findings) > MOST_SHOWN:
        console.print(f"[dim]… and {len(findings) - MOST_SHOWN:,} more: --json lists all[/dim]")


def _rows(rows: list[int]) -> str:
    return ", ".join(map(str, rows[:3])) + (f" +{len(rows) - 3}" if len(rows) > 3 else "")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
