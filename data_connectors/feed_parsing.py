"""From the bytes of a feed to its entries, all of them plain text (RSS, Atom, RDF, CDF)."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from data_connectors.feed_reading import RawFeed, read_feed
from data_connectors.feed_text import decode_feed
from data_connectors.safe_text import plain_text, safe_text, tidy_text
from shared.errors import NotAFeed
from shared.records import Reject
from shared.web.addresses import LONGEST_URL

LONGEST_TITLE = 1_000
LONGEST_SUMMARY = 20_000
LONGEST_NAME = 200
"""Characters of a title, a summary, and the name of an author or publisher; the rest is cut."""

LONGEST_GUID = 4_000

_YEARS = range(1970, 2101)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WEB_LINK = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_PERIODS = {"hourly": 3_600, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000}
_LONGEST_INTERVAL = 2_592_000
_HTML_START = re.compile(r"(?:<\?xml[^>]*>|<!--.*?-->|\s)*<(?:!doctype\s+html|html)\b", re.I | re.S)
_SITEMAP_START = re.compile(
    r"(?:<\?[^>]*>|<!--.*?-->|\s)*<(?:\w+:)?(?:urlset|sitemapindex)\b", re.S
)


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One entry of a feed as its source gave it. All texts are plain text on one line.

    ``link`` is an http(s) address or None. ``title`` may be empty, then ``summary`` is not, and
    the other way round. ``publisher`` is the source that an entry names, where it was taken from
    another. Times are aware UTC, and None where the feed has none that can be read.
    """

    guid: str | None
    link: str | None
    title: str
    summary: str
    author: str | None
    publisher: str | None
    published_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """A feed. ``entries`` and ``rejects`` together are all entries that the document holds.

    ``interval_seconds`` is how often the feed says that it changes (ttl, sy:updatePeriod).
    ``fault`` says what was wrong with the XML that could be read all the same.
    """

    title: str
    entries: tuple[FeedEntry, ...]
    rejects: tuple[Reject, ...]
    interval_seconds: int | None
    fault: str | None = None


def parse_feed(content: bytes, *, url: str = "", content_type: str | None = None) -> ParsedFeed:
    """The feed in a document. ``url`` is where it was found, for relative links.

    Raises NotAFeed for what is none (an HTML page, a sitemap, JSON, nothing at all) and for
    what is not safe to read: entity declarations, more entries than MOST_ENTRIES. A bad entry
    becomes a reject, its ``line`` the number of the entry, from 1.
    """
    text = decode_feed(content, content_type)
    if reason := _no_feed(text):
        raise NotAFeed(f"{url or 'the document'} is no feed: {reason}", url=url, reason=reason)
    try:
        raw = read_feed(text, url)
    except NotAFeed as error:
        raise NotAFeed(
            f"{url or 'the document'} is refused: {error.message}", url=url, reason=error.message
        ) from error
    if not raw.entries and (not raw.version or not text.startswith("<")):
        reason = "it holds neither entries nor a mark of RSS, Atom, RDF or CDF"
        raise NotAFeed(f"{url or 'the document'} is no feed: {reason}", url=url, reason=reason)
    return _parsed(raw)


def _no_feed(text: str) -> str | None:
    """What the document is when it plainly is no feed."""
    if not text:
        return "it is empty"
    start = text[:20_000]
    if _HTML_START.match(start):
        return "it is an HTML page; look there for the address of its feed"
    if _SITEMAP_START.match(start):
        return "it is a sitemap, a list of pages and not of stories"
    if text[0] in "{[":
        return "it looks like JSON"
    if "<" not in start:
        return "it holds no XML"
    return None


def _parsed(raw: RawFeed) -> ParsedFeed:
    entries: list[FeedEntry] = []
    rejects: list[Reject] = []
    for number, entry in enumerate(raw.entries, start=1):
        try:
            outcome: FeedEntry | str = _entry(entry)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            outcome = f"the entry cannot be read: {error}"
        if isinstance(outcome, FeedEntry):
            entries.append(outcome)
        else:
            kept = {"id": _get(entry, "id"), "link": _get(entry, "link")}
            row = {key: str(value)[:LONGEST_NAME] for key, value in kept.items() if value}
            rejects.append(Reject(number, outcome, row))
    title = _text(raw.feed, "title")[:LONGEST_TITLE]
    return ParsedFeed(title, tuple(entries), tuple(rejects), _interval(raw.feed), raw.fault)


def _entry(entry: Mapping[str, Any]) -> FeedEntry | str:
    """The entry, or why it is none. feedparser's dictionaries warn; plain ``dict.get`` does not."""
    title = _text(entry, "title")[:LONGEST_TITLE]
    summary = _text(entry, "summary") or _content(entry)
    if not title and not summary:
        return "it has neither a title nor a text"
    source = _get(entry, "source")
    return FeedEntry(
        guid=tidy_text(str(_get(entry, "id") or ""))[:LONGEST_GUID] or None,
        link=_web_link(_get(entry, "link")),
        title=title,
        summary=summary[:LONGEST_SUMMARY],
        author=_name(_get(entry, "author")),
        publisher=_name(_get(source, "title") if isinstance(source, dict) else None)
        or _name(_get(entry, "publisher")),
        published_at=_time(_get(entry, "published_parsed") or _get(entry, "created_parsed")),
        updated_at=_time(_get(entry, "updated_parsed")),
    )


def _get(mapping: Any, key: str) -> Any:
    """A value as it is stored, without the fallbacks that feedparser warns of."""
    return dict.get(mapping, key)


def _text(mapping: Any, key: str) -> str:
    """A text construct as plain text: reduced as HTML where it says that it is."""
    value = _get(mapping, key)
    if not isinstance(value, str):
        return ""
    detail = _get(mapping, f"{key}_detail")
    kind = _get(detail, "type") if isinstance(detail, dict) else None
    return safe_text(value) if kind == "text/plain" else plain_text(value)


def _content(entry: Any) -> str:
    """The first content of an entry that is text, for entries without a summary."""
    for content in _get(entry, "content") or ():
        kind = str(_get(content, "type") or "")
        value = _get(content, "value")
        if isinstance(value, str) and (kind.startswith("text/") or kind.endswith("xml")):
            reduced = safe_text(value) if kind == "text/plain" else plain_text(value)
            if reduced:
                return reduced
    return ""


def _name(value: Any) -> str | None:
    return safe_text(value)[:LONGEST_NAME] or None if isinstance(value, str) else None


def _web_link(value: Any) -> str | None:
    link = value.strip() if isinstance(value, str) else ""
    usable = len(link) <= LONGEST_URL and link.isprintable() and " " not in link
    return link if usable and _WEB_LINK.match(link) else None


def _time(value: Any) -> datetime | None:
    """The moment of feedparser's nine numbers, which are UTC; None for years that make no sense."""
    if value is None or value[0] not in _YEARS:
        return None
    try:
        return _EPOCH + timedelta(seconds=calendar.timegm(tuple(value)))
    except (ValueError, OverflowError, TypeError):
        return None


def _interval(feed: Mapping[str, Any]) -> int | None:
    """Seconds between changes: RSS's ttl in minutes, or period / frequency of RSS's sy module."""
    seconds = _number(_get(feed, "ttl")) * 60
    period = _PERIODS.get(str(_get(feed, "sy_updateperiod") or "").strip().lower())
    if not seconds and period:
        seconds = period / max(_number(_get(feed, "sy_updatefrequency")), 1.0)
    return int(seconds) if 1 <= seconds <= _LONGEST_INTERVAL else None


def _number(value: Any) -> float:
    text = str(value or "").strip()
    return float(text) if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text) else 0.0
