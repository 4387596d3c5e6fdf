"""What users did, from CSV, TSV, JSON lines and Parquet files, and from SQL queries."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_connectors.columns import Columns, find_column, find_optional_column
from data_connectors.rows import Row, cell_text, reject, unusable_characters
from data_connectors.tables import iterate_table, shown_source
from shared.catalogue import BehaviourEvent, EventType
from shared.records import Reject

ID_NAMES = ("event_id", "eventid", "id")
USER_NAMES = (
    "user", "user_id", "userid", "customer", "customer_id", "visitor_id", "visitorid", "reviewerid",
)  # fmt: skip
ITEM_NAMES = (
    "item", "item_id", "itemid", "product_id", "productid", "article_id", "sku", "asin", "movieid",
    "movie_id",
)  # fmt: skip
TYPE_NAMES = ("type", "event", "event_type", "action")
TIME_NAMES = (
    "at", "time", "timestamp", "event_time", "datetime", "date", "ts", "unixreviewtime",
    "created_at",
)  # fmt: skip
SESSION_NAMES = ("session", "session_id", "sessionid")
VALUE_NAMES = ("value", "rating", "stars", "score", "overall")
WEIGHT_NAMES = ("weight",)

TYPES_USED: Mapping[str, EventType] = MappingProxyType(
    {
        "view": "view", "views": "view", "viewed": "view", "page_view": "view",
        "pageview": "view", "detail": "view",
        "click": "click", "clicks": "click", "clicked": "click",
        "cart": "cart", "add_to_cart": "cart", "addtocart": "cart", "basket": "cart",
        "add_to_basket": "cart",
        "purchase": "purchase", "purchased": "purchase", "buy": "purchase", "bought": "purchase",
        "transaction": "purchase", "order": "purchase", "sale": "purchase",
        "rating": "rating", "rate": "rating", "rated": "rating", "review": "rating",
        "dislike": "dislike", "disliked": "dislike", "hide": "dislike", "thumbs_down": "dislike",
        "not_interested": "dislike",
    }
)  # fmt: skip
"""Words for the types of events, in any case; spaces and hyphens count as underscores."""

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_SECONDS = 1e11
"""A larger number counts milliseconds, one a thousand times as large microseconds."""


@dataclass(frozen=True, slots=True)
class EventColumns:
    """The columns of an event; None for one to be found by its usual names.

    Only ``user`` and ``item`` must be there.
    """

    user: str | None = None
    item: str | None = None
    type: str | None = None
    time: str | None = None
    session: str | None = None
    value: str | None = None
    weight: str | None = None
    id: str | None = None

    def found_in(self, names: Sequence[str], where: str) -> EventColumns:
        """The columns by their true names; None for what the table does not have.

        Raises UnknownColumn, with all column names, when one is not there or stands twice.
        """
        return EventColumns(
            find_column(names, self.user, USER_NAMES, "user", where),
            find_column(names, self.item, ITEM_NAMES, "item", where),
            find_optional_column(names, self.type, TYPE_NAMES, "type", where),
            find_optional_column(names, self.time, TIME_NAMES, "time", where),
            find_optional_column(names, self.session, SESSION_NAMES, "session", where),
            find_optional_column(names, self.value, VALUE_NAMES, "value", where),
            find_optional_column(names, self.weight, WEIGHT_NAMES, "weight", where),
            find_optional_column(names, self.id, ID_NAMES, "id", where),
        )


def read_events(
    source: str | Path,
    columns: EventColumns | None = None,
    *,
    query: str | None = None,
    default_type: EventType = "view",
) -> Iterator[BehaviourEvent | Reject]:
    """Event by event, in the source's order and in memory that does not grow with it.

    ``source`` is a file, or an SQLAlchemy address with a ``query``. A row that is no event becomes
    a Reject with its line and the reason. A row without a type is a rating where it has a value,
    else ``default_type``; the value of any other type is not kept. Times are ISO 8601 (UTC where
    they name no zone) or numbers since 1970: seconds, milliseconds or microseconds by their size.
    Without a column of times events have none, and their order is what counts.

    An event without an id gets a stable one: of user, item, type, session, value and time, so that
    one that is exported twice stays one; where there is no time, of its line in their place.

    Raises what ``item_files.read_items`` raises.
    """
    wanted = columns or EventColumns()
    where = shown_source(source)
    found: list[EventColumns] = []

    def find(names: Sequence[str]) -> Columns:
        there = wanted.found_in(names, where)
        found.append(there)
        columns_read = [getattr(there, field.name) for field in fields(there)]
        rest = {name: name for name in columns_read if name and name not in columns_read[:2]}
        return Columns(text=there.item or "", label=there.user or "", kept=rest)

    for row in iterate_table(source, find, query=query, named=(wanted.item, wanted.user)):
        outcome = row.fault or event_or_reason(row, found[0], default_type)
        yield reject(row, outcome) if isinstance(outcome, str) else outcome


def event_or_reason(
    row: Row, columns: EventColumns, default_type: EventType = "view"
) -> BehaviourEvent | str:
    """The event that a row holds, or the reason why it holds none."""
    cells: dict[str, str] = {}
    for field in fields(columns):
        column = getattr(columns, field.name)
        if field.name == "time":
            continue
        cell = cell_text(row.values.get(column)) if column else ""
        if cell is None:
            return f"the {field.name} is a {type(row.values[column]).__name__}, not a text"
        if fault := unusable_characters(cell):
            return fault
        cells[field.name] = cell.strip()
    for name in ("user", "item"):
        if not cells[name]:
            return f"the {name} is blank"
    try:
        at = moment(row.values.get(columns.time)) if columns.time else None
        value = _number(cells["value"], "value")
        kind = _type(cells["type"], value, default_type)
        weight = _number(cells["weight"], "weight")
        value = value if kind == "rating" else None
        return BehaviourEvent(
            id=cells["id"] or _stable_id(row, cells, kind, value, at),
            user=cells["user"],
            item=cells["item"],
            type=kind,
            at=at,
            session=cells["session"] or None,
            value=value,
            weight=1.0 if weight is None else weight,
        )
    except ValueError as error:
        return str(error)


def moment(value: Any) -> datetime:
    """A time as sources write it, aware UTC. Raises ValueError with what was wrong."""
    if isinstance(value, datetime):
        return (value if value.utcoffset() is not None else value.replace(tzinfo=UTC)).astimezone(
            UTC
        )
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    text = (cell_text(value) or "").strip()
    if not text:
        raise ValueError("the time is blank")
    try:
        return _from_number(float(text))
    except ValueError:
        pass
    except OverflowError:
        raise ValueError(f"the time is {text[:40]!r}, which no calendar has") from None
    try:
        parsed = datetime.fromisoformat(text)
        return moment(parsed)
    except (ValueError, OverflowError):
        raise ValueError(
            f"the time is {text[:40]!r}, neither ISO 8601 nor a number since 1970"
        ) from None


def _from_number(number: float) -> datetime:
    if not math.isfinite(number):
        raise OverflowError
    size = abs(number)
    scale = 1.0 if size < _LATEST_SECONDS else 1e3 if size < _LATEST_SECONDS * 1e3 else 1e6
    return _FIRST + timedelta(seconds=number / scale)


def _number(text: str, name: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"the {name} is {text[:40]!r}, not a number") from None


def _type(text: str, value: float | None, default_type: EventType) -> EventType:
    if not text:
        return default_type if value is None else "rating"
    folded = "_".join(text.casefold().replace("-", " ").split())
    if folded not in TYPES_USED:
        known = ", ".join(dict.fromkeys(TYPES_USED.values()))
        raise ValueError(f"the type is {text[:40]!r}, not one of {known}")
    return TYPES_USED[folded]


def _stable_id(
    row: Row, cells: Mapping[str, str], kind: str, value: float | None, at: datetime | None
) -> str:
    parts = (
        cells["user"], cells["item"], kind, cells["session"], "" if value is None else repr(value),
        f"line {row.line}" if at is None else at.isoformat(),
    )  # fmt: skip
    return "e" + hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
