"""What all commands share: groups that import a command only when it runs, and output."""

from __future__ import annotations

import getpass
import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from shared.errors import TriptychError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


class LazyGroup(click.Group):
    """A group whose commands are named by ``module:attribute`` and imported when they run.

    ``lazy`` maps a command's name to its address and the line that help shows, so that
    ``--help`` imports none of them.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, those imported and those not."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now if it was not yet."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute = self.lazy[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), f"{module}:{attribute} is no command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Help lines from the table, with nothing imported."""
        rows = [(name, self.lazy[name][1]) for name in sorted(self.lazy)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def print_json(value: Any) -> None:
    """Write one JSON object, and nothing else, to standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=False, default=str))


def say(message: str) -> None:
    """Write a line for people to standard error."""
    click.echo(message, err=True)


def fail(error: TriptychError) -> NoReturn:
    """Say what was wrong and leave with exit status 1."""
    click.echo(f"error: {error.message}", err=True)
    sys.exit(1)


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """A command whose Triptych errors end in one line and exit status 1, not in a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except TriptychError as error:
            fail(error)

    return run


def user_name() -> str:
    """Who runs the command, "unknown" where the system has no name for them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def actor_name() -> str:
    """Who acts, as the audit log has it: the user's name at the command line."""
    name = user_name()
    return "the command line" if name == "unknown" else f"{name} at the command line"


author_option = click.option(
    "--author", default=user_name, show_default="your user name", help="Who does it: recorded."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else."
)


@contextmanager
def database(settings: Settings) -> Iterator[Engine]:
    """The installation's database, closed at the end."""
    from shared.storage.engine import open_database

    engine = open_database(settings.database)
    try:
        yield engine
    finally:
        engine.dispose()
