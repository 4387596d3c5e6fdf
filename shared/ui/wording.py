"""How values read on a page: names, shares, times, and texts that must not turn to markup. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from shared.records import OUT_OF_SCOPE

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~$:\-.])")


def plain(text: str) -> str:
    """The text so that Streamlit's Markdown shows it letter by letter.

    What people wrote must neither load an image from elsewhere nor become a heading, a formula or
    a coloured badge. A backslash before any ASCII punctuation makes it literal (CommonMark 2.4).
    """
    return " ".join(_MARKUP.sub(r"\\\1", text).split())


def title_of(intent: str) -> str:
    """An intent's name as people read it: ``order_status`` is "Order status"."""
    if intent == OUT_OF_SCOPE:
        return "Out of scope"
    words = " ".join(intent.replace("_", " ").replace("-", " ").split())
    return words[:1].upper() + words[1:]


def percent(share: float | None, digits: int = 0) -> str:
    """A share in [0, 1] as a percentage; a dash where there is none."""
    return "–" if share is None else f"{share * 100:.{digits}f} %"


def counted(number: int, thing: str, things: str | None = None) -> str:
    """A number with its noun: "1 chat", "3 chats"."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def shortened(text: str, length: int) -> str:
    """The text on one line, cut at a word to at most ``length`` characters."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    cut = line[: length - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut) + "…"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago that was, in the largest unit that fits."""
    seconds = max(0.0, (now - moment).total_seconds())
    if seconds < 60:
        return "just now"
    for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length:
            return f"{counted(int(seconds // length), unit)} ago"
    raise AssertionError("every duration is at least some minutes long here")


def clock_time(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """The moment in the reader's zone: the hour today, the day before that, the year if past."""
    here, today = moment.astimezone(zone), now.astimezone(zone)
    hour = f"{here:%H:%M}"
    if here.date() == today.date():
        return hour
    if here.date() == (today - timedelta(days=1)).date():
        return f"yesterday {hour}"
    year = "" if here.year == today.year else f" {here.year}"
    return f"{here.day} {here:%b}{year}, {hour}"
