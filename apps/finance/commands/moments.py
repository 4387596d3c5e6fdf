"""Times as commands take them: a date, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from shared.errors import DataError

_AGO = re.compile(r"(\d{1,5})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


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
