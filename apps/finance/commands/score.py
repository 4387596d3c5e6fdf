"""``triptych finance score``: what the version in use says of texts, overall and per company."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from shared.command_line import database, print_json, reports_errors
from shared.errors import DataError
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.finance.records import StoryScore


@click.command()
@click.argument("texts", nargs=-1)
@click.option(
    "--file", "file", type=click.File(encoding="utf-8"), help="One text a line; - is stdin."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reports_errors
def score(texts: tuple[str, ...], file: Any, as_json: bool) -> None:
    """Score texts: sentiment overall and toward each company, the event, and why."""
    lines = [*texts, *(line.strip() for line in file or () if line.strip())]
    if not lines:
        raise DataError("give at least one text, or --file with one a line")
    from apps.finance.records import StoryText
    from apps.finance.scoring.in_use import scorer_for
    from models.registry import ModelRegistry

    settings = Settings()
    with database(settings) as engine:
        scorer = scorer_for(settings, ModelRegistry(settings.models), engine)
        scores = scorer.score([StoryText(line) for line in lines])
    if as_json:
        scored = [{"text": line, **asdict(one)} for line, one in zip(lines, scores, strict=True)]
        print_json({"version": scorer.version, "scores": scored})
        return
    _print(lines, scores)


def _print(lines: list[str], scores: list[StoryScore]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_lines=True)
    for title in ("text", "overall", "event", "toward each company"):
        table.add_column(title)
    for line, one in zip(lines, scores, strict=True):
        toward = "\n".join(
            f"{escape(mention.name)}: {_said(mention.label, mention.probabilities, mention.reason)}"
            for mention in one.mentions
        )
        overall = _said(one.label, one.probabilities, one.reason)
        table.add_row(escape(line), overall, one.event or "", toward)
    Console().print(table)


def _said(label: str, probabilities: Any, reason: Any) -> str:
    rule = f" (rule: {reason['rule']})" if reason else ""
    return f"{label} {probabilities[label]:.2f}{rule}"
