"""``triptych support classify``: what the desk would do with messages, from the command line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import click

from shared.api.support import Classification, ClassifyResponse
from shared.command_line import print_json, reports_errors


@click.command()
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option("--version", "version_name", help="A version, or the beginning of its name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@reports_errors
def classify(texts: Sequence[str], version_name: str | None, as_json: bool) -> None:
    """Classify messages with the version in use, and say what the desk would do.

    A TEXT of - reads messages from standard input, one a line.
    """
    from apps.support.bootstrap import SupportSettings, load_desk
    from apps.support.conversation.knowledge import APP
    from apps.support.service import as_classification
    from models.registry import ModelRegistry
    from shared.privacy import mask_personal_data
    from shared.settings import Settings

    messages = read_messages(texts)
    settings = Settings()
    registry = ModelRegistry(settings.models)
    version = registry.get(APP, version_name)
    desk = load_desk(registry, version, settings, SupportSettings())
    masked = [mask_personal_data(message) for message in messages]
    response = ClassifyResponse(
        version=desk.version,
        results=[
            as_classification(text, reading)
            for text, reading in zip(masked, desk.read(masked), strict=True)
        ],
    )
    if as_json:
        print_json(response.model_dump(mode="json"))
    else:
        click.echo(as_table(response, width=shutil.get_terminal_size((120, 24)).columns))


def read_messages(texts: Sequence[str]) -> list[str]:
    """The arguments, a ``-`` replaced by the lines of standard input; blank ones are refused."""
    messages: list[str] = []
    for text in texts:
        lines = sys.stdin.read().splitlines() if text == "-" else [text]
        messages += [line.strip() for line in lines if line.strip() or text != "-"]
    if not messages or not all(messages):
        raise click.BadParameter("a message needs a character that is not blank", param_hint="TEXT")
    return messages


def as_table(response: ClassifyResponse, *, width: int) -> str:
    """The results for people, one row a message, at most ``width`` characters wide."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"version {response.version}", title_justify="left", expand=False)
    for column in ("message", "action", "intent", "confidence", "next", "reason"):
        table.add_column(column, justify="right" if column == "confidence" else "left")
    for result in response.results:
        table.add_row(
            Text(result.text),
            Text(result.action, style=_STYLES[result.action]),
            Text(result.intent),
            f"{result.confidence:.2f}",
            Text(_runner_up(result)),
            Text(result.reason),
        )
    console = Console(width=width, force_terminal=True)
    with console.capture() as shown:
        console.print(table)
    return shown.get().rstrip("\n")


_STYLES = {"answer": "green", "clarify": "yellow", "handoff": "magenta"}


def _runner_up(result: Classification) -> str:
    if len(result.ranked) < 2:
        return ""
    second = result.ranked[1]
    return f"{second.intent} {second.probability:.2f}"
