"""What the headers of a response say about when to ask again: pure functions of the headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 86_400.0
"""Seconds; what a server asks for beyond a day is cut to a day."""

_DIRECTIVE = re.compile(r"""([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]*)))?""")


def fresh_for(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds for which a response stays fresh (RFC 9111, section 4.2): max-age less Age, else
    Expires less Date less Age. 0 when it is stale at once, None when the headers say nothing.
    """
    directives = _cache_control(headers.get("cache-control", ""))
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    age = _seconds(headers.get("age", "")) or 0.0
    if "max-age" in directives:
        lifetime = _seconds(directives["max-age"]) or 0.0
    elif "expires" in headers:
        expires = http_date(headers["expires"])
        lifetime = 0.0 if expires is None else (expires - _sent_at(headers, now)).total_seconds()
    else:
        return None
    return _bounded(lifetime - age)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the server wants to be asked again (RFC 9110, section 10.2.3).

    A date counts from the server's own Date, so that its clock may be wrong. None when the header
    is missing or cannot be read.
    """
    value = headers.get("retry-after", "").strip()
    if (seconds := _seconds(value)) is not None:
        return _bounded(seconds)
    moment = http_date(value)
    return None if moment is None else _bounded((moment - _sent_at(headers, now)).total_seconds())


def http_date(value: str) -> datetime | None:
    """A date in any of the three forms of RFC 9110, section 5.6.7, as aware UTC; else None."""
    try:
        moment = parsedate_to_datetime(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _sent_at(headers: Mapping[str, str], now: datetime) -> datetime:
    return http_date(headers.get("date", "")) or now


def _cache_control(value: str) -> dict[str, str]:
    """The directives in lower case; of one that comes twice the first counts."""
    found: dict[str, str] = {}
    for name, quoted, plain in _DIRECTIVE.findall(value):
        found.setdefault(name.lower(), quoted or plain)
    return found


def _seconds(value: str) -> float | None:
    text = value.strip()
    if not (text.isascii() and text.isdigit()):
        return None
    return LONGEST_WAIT if len(text) > 9 else float(text)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)
