"""Posts and comments from files and queries: rows in, entries out, as if a feed had held them."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from apps.finance.ingest.counts import IngestCounts
from apps.finance.ingest.pipeline import BATCH, Ingestion
from data_connectors.columns import TEXT_NAMES, Columns
from data_connectors.feed_parsing import FeedEntry
from data_connectors.rows import Row, reject
from data_connectors.safe_text import safe_text
from shared.errors import UnknownColumn
from shared.records import Reject

LONGEST_TEXT = 20_000
"""Characters of a post; the rest is cut."""

_MILLISECONDS = 1e11
"""Numbers above are milliseconds since 1970, those below are seconds."""

_USUAL = {
    "text": ("text", "body", "content", "comment", "message", "post", "tweet", *TEXT_NAMES),
    "title": ("title", "headline", "subject"),
    "author": ("author", "user", "username", "user_name", "screen_name", "by"),
    "source": ("source", "publisher", "platform", "site", "subreddit", "channel"),
    "time": (
        "time", "published_at", "created_at", "timestamp", "date", "datetime", "created_utc",
        "created",
    ),
    "link": ("link", "url", "permalink"),
    "id": ("id", "guid", "post_id", "comment_id", "tweet_id", "message_id"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PostColumns:
    """The columns that hold a post. All but ``text`` may be missing; ``title`` is rare."""

    text: str | None = None
    title: str | None = None
    author: str | None = None
    source: str | None = None
    time: str | None = None
    link: str | None = None
    id: str | None = None

    @property
    def named(self) -> list[str]:
        """The columns that there are."""
        return [name for one in fields(self) if (name := getattr(self, one.name))]


def find_post_columns(names: Sequence[str], wanted: PostColumns, where: str) -> PostColumns:
    """The columns that ``wanted`` names, else those with a usual name, whatever its case.

    Raises UnknownColumn where a named one is not there, or none looks like the text.
    """
    by_fold = {name.strip().casefold(): name for name in reversed(names)}
    taken: dict[str, str] = {}
    for one in fields(PostColumns):
        asked = getattr(wanted, one.name)
        usual = (asked,) if asked else _USUAL[one.name]
        found = (by_fold.get(name.strip().casefold()) for name in usual)
        column = next((name for name in found if name and name not in taken.values()), None)
        if column is not None:
            taken[one.name] = column
        elif asked or one.name == "text":
            problem = f"there is no column {asked!r}" if asked else "no column looks like the text"
            there = ", ".join(map(repr, names)) or "none"
            raise UnknownColumn(
                f"{where}: {problem}; the columns are {there}."
                f" Name the right one with --{one.name}-column",
                where=where,
                role=one.name,
                columns=list(names),
            )
    return PostColumns(**taken)


def read_posts(path: Path, wanted: PostColumns) -> Iterator[FeedEntry | Reject]:
    """The posts of a CSV, TSV, JSON lines or Parquet file, one after another.

    Raises UnknownColumn, and what ``data_connectors.files.iterate_rows`` raises.
    """
    from data_connectors.files import iterate_rows

    found = _Found(wanted, str(path))
    named = (wanted.text, wanted.title)
    return _entries(iterate_rows(path, found.find, named=named), found)


def read_post_query(url: str, query: str, wanted: PostColumns) -> Iterator[FeedEntry | Reject]:
    """The posts that a SQL query selects. Raises as ``read_posts``, and StorageError."""
    from data_connectors.database import iterate_query_rows

    found = _Found(wanted, "the query")
    return _entries(iterate_query_rows(url, query, found.find), found)


class _Found:
    """Remembers which columns a source has once its reader asks."""

    def __init__(self, wanted: PostColumns, where: str) -> None:
        self._wanted = wanted
        self._where = where
        self.columns = PostColumns()

    def find(self, names: Sequence[str]) -> Columns:
        self.columns = find_post_columns(names, self._wanted, self._where)
        text = self.columns.text or ""
        return Columns(text, text, kept={name: name for name in self.columns.named})


def _entries(rows: Iterable[Row], found: _Found) -> Iterator[FeedEntry | Reject]:
    for row in rows:
        outcome = row.fault or post_or_reason(row, found.columns)
        yield reject(row, outcome) if isinstance(outcome, str) else outcome


def ingest_posts(
    ingestion: Ingestion,
    posts: Iterable[FeedEntry | Reject],
    *,
    origin: str,
    publisher: str,
    now: datetime,
    rejected: Callable[[Reject], None] = lambda reject: None,
) -> IngestCounts:
    """Take posts in, some hundreds a transaction; ``rejected`` is told of the rows that are none.

    ``publisher`` speaks where a post names no source.
    """
    total = IngestCounts()
    rows = iter(posts)
    while batch := list(itertools.islice(rows, BATCH)):
        entries = [one for one in batch if isinstance(one, FeedEntry)]
        for one in batch:
            if isinstance(one, Reject):
                rejected(one)
        refused = len(batch) - len(entries)
        total += IngestCounts(entries=refused, rejected=refused)
        total += ingestion.ingest_entries(origin, publisher, entries, now, "post")
    return total


def post_or_reason(row: Row, columns: PostColumns) -> FeedEntry | str:
    """The post that a row holds, or the reason why it holds none.

    What has neither an id nor a link is known by its words, author, source and time.
    """

    def cell(name: str | None) -> str:
        return _text(row.values.get(name)) if name else ""

    text, title = safe_text(cell(columns.text))[:LONGEST_TEXT], safe_text(cell(columns.title))
    if not text and not title:
        return "the text is blank"
    when = row.values.get(columns.time) if columns.time else None
    try:
        published = parse_time(when)
    except ValueError:
        return f"the time is {str(when)[:40]!r}, which is none that can be read"
    author, source = safe_text(cell(columns.author)), safe_text(cell(columns.source))
    link, id = cell(columns.link).strip(), cell(columns.id).strip()
    if id:
        guid: str | None = f"{source}\n{id}" if source else id
    elif link:
        guid = None
    else:
        guid = _hash(title, text, author, source, published.isoformat() if published else "")
    return FeedEntry(
        guid=guid,
        link=link if link.lower().startswith(("http://", "https://")) else None,
        title=title,
        summary=text,
        author=author[:200] or None,
        publisher=source[:200] or None,
        published_at=published,
        updated_at=None,
    )


def parse_time(value: Any) -> datetime | None:
    """An aware UTC time of ISO 8601, RFC 5322, or seconds or milliseconds since 1970.

    A time without a zone is UTC; None and blank are None. Raises ValueError for anything else.
    """
    if isinstance(value, datetime):
        return _utc(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = None
    if number is not None and not _looks_like_a_date(text):
        try:
            return datetime.fromtimestamp(
                number / 1000 if abs(number) > _MILLISECONDS else number, UTC
            )
        except (OverflowError, OSError) as error:
            raise ValueError(text) from error
    try:
        return _utc(datetime.fromisoformat(text))
    except ValueError:
        return _utc(parsedate_to_datetime(text))


def _looks_like_a_date(text: str) -> bool:
    """Whether digits are a basic ISO date such as 20260206."""
    return len(text) == 8 and text.isdigit() and text.startswith(("19", "20"))


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value).encode(errors="replace").decode()


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
