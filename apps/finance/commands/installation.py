"""What the commands of rules, alerts and index share: the database, who acts, and moments."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from shared.errors import DataError
from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

_AGO = re.compile(r"(\d{1,5})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def user_name() -> str:
    """Who runs the command, "unknown" where the system has no name for them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


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


def moment(text: str, now: datetime) -> datetime:
    """A time in UTC: a date or time (UTC unless it names a zone), or ``36h``, ``10d``, ``4w`` ago.

    DataError for anything else, and for years before 1970 or after 2199.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            read = now - int(ago[1]) * _UNITS[ago[2]]
        else:
            read = datetime.fromisoformat(text.strip())
        if not 1970 <= read.year < 2200:
            raise ValueError(f"the year {read.year}")
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{text!r} is no time: write 2026-03-01, 2026-03-01T12:00+01:00, or 36h, 10d, 4w ago",
            text=text,
        ) from error


def later_moment(text: str, now: datetime) -> datetime:
    """A time as ``moment`` reads it, but ``36h`` is 36 hours ahead."""
    ahead = _AGO.fullmatch(text.strip())
    return now + (now - moment(text, now)) if ahead else moment(text, now)
