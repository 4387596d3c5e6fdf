"""Items of a catalogue from CSV, TSV, JSON lines and Parquet files, and from SQL queries."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_connectors.columns import Columns, find_column, find_optional_column
from data_connectors.rows import Row, cell_text, reject, unusable_characters
from data_connectors.tables import iterate_table, shown_source
from shared.catalogue import CatalogueItem
from shared.records import Reject

ID_NAMES = (
    "id", "item_id", "itemid", "item", "product_id", "productid", "article_id", "sku", "asin",
    "movieid", "movie_id",
)  # fmt: skip
TITLE_NAMES = ("title", "name", "item_name", "product_name", "product_title", "headline")
TEXT_NAMES = (
    "text", "description", "overview", "summary", "plot", "body", "content", "details",
)  # fmt: skip
CATEGORY_NAMES = ("category", "department", "section", "genre", "product_type")
PRICE_NAMES = ("price", "unit_price", "list_price")
AVAILABLE_NAMES = ("available", "availability", "in_stock", "instock", "stock")

ATTRIBUTES = "attributes"
"""The column whose object (or JSON text of an object) holds attributes by name."""

_YES = frozenset({"true", "yes", "y", "t", "available", "in stock", "instock", "in_stock"})
_NO = frozenset(
    {"false", "no", "n", "f", "unavailable", "not available", "out of stock", "out_of_stock",
     "sold out", "discontinued"}
)  # fmt: skip

_POINT = re.compile(r"\d{1,3}(?:[, '\u00a0\u202f]\d{3})+(?:\.\d+)?|\d*\.?\d+")
_COMMA = re.compile(r"\d{1,3}(?:[. '\u00a0\u202f]\d{3})*,\d{1,2}|\d+,\d{1,2}")
_CURRENCY = re.compile(r"^(?:[A-Z]{3}\s*|[$€£¥]\s*)|(?:\s*[A-Z]{3}|\s*[$€£¥])$")


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """The columns of an item; None for one to be found by its usual names.

    Only ``id`` and ``title`` must be there. Every further column becomes an attribute under its
    own name, and the entries of a column ``attributes`` become attributes too.
    """

    id: str | None = None
    title: str | None = None
    text: str | None = None
    category: str | None = None
    price: str | None = None
    available: str | None = None

    def found_in(self, names: Sequence[str], where: str) -> ItemColumns:
        """The columns by their true names; None for what the table does not have.

        Raises UnknownColumn, with all column names, when one is not there or stands twice.
        """
        return ItemColumns(
            find_column(names, self.id, ID_NAMES, "id", where),
            find_column(names, self.title, TITLE_NAMES, "title", where),
            find_optional_column(names, self.text, TEXT_NAMES, "text", where),
            find_optional_column(names, self.category, CATEGORY_NAMES, "category", where),
            find_optional_column(names, self.price, PRICE_NAMES, "price", where),
            find_optional_column(names, self.available, AVAILABLE_NAMES, "available", where),
        )


def read_items(
    source: str | Path, columns: ItemColumns | None = None, *, query: str | None = None
) -> Iterator[CatalogueItem | Reject]:
    """Item by item, in memory that does not grow with the source.

    ``source`` is a file, or an SQLAlchemy address with a ``query``. A row that is no item becomes
    a Reject with its line and the reason, and never stops the rest. Ids may come twice: whoever
    stores the items lets the later one win.

    Raises UnreadableFile, UnknownColumn, EmptyData (a file without a row), SettingsError and
    StorageError, as ``files.iterate_rows`` and ``database.iterate_query_rows`` do.
    """
    wanted = columns or ItemColumns()
    where = shown_source(source)
    found: list[ItemColumns] = []

    def find(names: Sequence[str]) -> Columns:
        there = wanted.found_in(names, where)
        found.append(there)
        taken = {there.id, there.title}
        rest = {name: name for name in names if name not in taken}
        return Columns(text=there.title or "", label=there.id or "", kept=rest)

    for row in iterate_table(source, find, query=query, named=(wanted.title, wanted.id)):
        outcome = row.fault or item_or_reason(row, found[0])
        yield reject(row, outcome) if isinstance(outcome, str) else outcome


def item_or_reason(row: Row, columns: ItemColumns) -> CatalogueItem | str:
    """The item that a row holds, or the reason why it holds none."""
    values = {}
    for field in fields(columns):
        column = getattr(columns, field.name)
        cell = cell_text(row.values.get(column)) if column else ""
        if cell is None:
            return f"the {field.name} is a {type(row.values[column]).__name__}, not a text"
        values[field.name] = cell.strip()
        if fault := unusable_characters(cell):
            return fault
    if not values["id"]:
        return "the id is blank"
    if not values["title"]:
        return "the title is blank"
    try:
        return CatalogueItem(
            id=values["id"],
            title=" ".join(values["title"].split()),
            text=values["text"],
            category=" ".join(values["category"].split()) or None,
            price=_price(values["price"]),
            available=_available(values["available"]),
            attributes=_attributes(row.values, columns),
        )
    except ValueError as error:
        return str(error)


def _price(text: str) -> float | None:
    """A price as shops write it: a sign or code of a currency may stand before or after it.

    A comma before one or two digits at the end is the decimal one; any other parts thousands.
    """
    if not text:
        return None
    bare = _CURRENCY.sub("", text).strip()
    if _COMMA.fullmatch(bare):
        whole, _, cents = bare.rpartition(",")
        bare = f"{re.sub(r'[^0-9]', '', whole)}.{cents}"
    elif _POINT.fullmatch(bare):
        bare = re.sub(r"[^0-9.]", "", bare)
    try:
        return float(bare)
    except ValueError:
        raise ValueError(f"the price is {text[:40]!r}, not a number") from None


def _available(text: str) -> bool:
    """Whether an item can be had: a word for yes or no, or how many are in stock."""
    folded = " ".join(text.casefold().split())
    if not folded or folded in _YES:
        return True
    if folded in _NO:
        return False
    try:
        return float(folded) > 0
    except ValueError:
        raise ValueError(
            f"the availability is {text[:40]!r}, not yes, no or how many are in stock"
        ) from None


def _attributes(values: Mapping[str, Any], columns: ItemColumns) -> dict[str, Any]:
    taken = set(asdict(columns).values())
    attributes: dict[str, Any] = {}
    for name, value in values.items():
        if name in taken or not name:
            continue
        entries = _object(value) if name == ATTRIBUTES else {name: value}
        for key, entry in entries.items():
            kept = _attribute(key, entry)
            if kept is not None:
                attributes[key] = kept
    return attributes


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except (json.JSONDecodeError, RecursionError):
            raise ValueError("the attributes are no JSON object") from None
    if value is None:
        return {}
    if isinstance(value, list):  # A Parquet map is a list of pairs.
        value = dict(value) if all(isinstance(v, tuple) and len(v) == 2 for v in value) else value
    if not isinstance(value, dict):
        raise ValueError("the attributes are no object")
    return {str(key): entry for key, entry in value.items()}


def _attribute(name: str, value: Any) -> Any:
    """A text, number, truth value or list of texts; None for nothing. Raises ValueError else."""
    if isinstance(value, list | tuple):
        texts = [_attribute(name, entry) for entry in value]
        if any(isinstance(text, list) for text in texts):
            raise ValueError(f"the attribute {name[:40]!r} is a list of lists")
        return [cell_text(text) for text in texts if text is not None] or None
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, date):
        value = value.isoformat()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool | int | float):
        return value
    if not isinstance(value, str):
        raise ValueError(f"the attribute {name[:40]!r} is a {type(value).__name__}")
    if fault := unusable_characters(value):
        raise ValueError(f"the attribute {name[:40]!r} cannot be kept: {fault}")
    return value.strip() or None
