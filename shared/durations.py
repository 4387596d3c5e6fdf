"""Lengths of time as people write them: ``90s``, ``30m``, ``24h``, ``90d``, ``4w``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from shared.errors import SettingsError

_WRITTEN = re.compile(r"(\d{1,5})([smhdw])")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def read_duration(text: str) -> timedelta:
    """A whole number of seconds, minutes, hours, days or weeks; ``0`` alone is none at all.

    Raises SettingsError for anything else.
    """
    written = text.strip()
    if written == "0":
        return timedelta(0)
    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise SettingsError(f"{text[:40]!r} is no length of time: write 90s, 30m, 24h, 90d or 4w")
    return int(found[1]) * _UNITS[found[2]]


def read_moment(text: str, now: datetime) -> datetime:
    """A time in UTC: a date or time (UTC unless it names a zone), or ``36h``, ``10d``, ``4w`` ago.

    Raises SettingsError for anything else.
    """
    if _WRITTEN.fullmatch(text.strip()):
        try:
            return now - read_duration(text)
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    try:
        read = datetime.fromisoformat(text.strip())
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"{text[:40]!r} is no time: write 2026-03-01, 2026-03-01T12:00+01:00, or 36h, 10d ago"
        ) from error
