"""What ``triptych support classify`` reads and prints; the whole command runs in integration."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from apps.support.commands.classify import as_table, classify, read_messages
from apps.support.service import as_classification
from shared.api.support import ClassifyResponse
from tests.fakes.support_desk import shop_desk

pytestmark = pytest.mark.unit


def response(*texts: str) -> ClassifyResponse:
    desk = shop_desk()
    results = [
        as_classification(text, reading)
        for text, reading in zip(texts, desk.read(list(texts)), strict=True)
    ]
    return ClassifyResponse(version=desk.version, results=results)


def test_messages_come_from_arguments_and_standard_input() -> None:
    @click.command()
    @click.argument("texts", nargs=-1)
    def show(texts: tuple[str, ...]) -> None:
        click.echo(read_messages(texts))

    done = CliRunner().invoke(show, [" a ", "-"], input="b\n\n c\n")
    assert done.exception is None
    assert done.output == "['a', 'b', 'c']\n"


@pytest.mark.parametrize("arguments", [["  "], ["ok", ""], []])
def test_a_blank_message_is_a_usage_error(arguments: list[str]) -> None:
    done = CliRunner().invoke(classify, arguments)
    assert done.exit_code == 2
    assert "TEXT" in done.output


def test_the_table_shows_markup_as_it_was_written() -> None:
    shown = click.unstyle(as_table(response("[bold]refund[/bold] [/x]"), width=200))
    assert "[bold]refund[/bold] [/x]" in shown


def test_the_table_shows_decision_and_runner_up_and_keeps_its_width() -> None:
    shown = click.unstyle(as_table(response("refund", "my parcel"), width=150))
    for words in ("answer", "clarify", "track_order 0.42"):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 150
