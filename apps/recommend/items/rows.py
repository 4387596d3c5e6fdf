"""Items as rows of the table, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Row

from shared.catalogue import CatalogueItem

WRITTEN = ("title", "text", "category", "price", "available", "attributes")
"""The columns that an item fills; another value in one of them is a change."""


def as_row(item: CatalogueItem) -> dict[str, Any]:
    """What the database holds of an item, its id included; attributes as JSON gives them back.

    Raises ValueError for what no database keeps: NUL characters, halves of surrogate pairs, and
    attributes that are not JSON.
    """
    try:
        attributes = json.loads(json.dumps(dict(item.attributes), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the attributes are not JSON: {error}") from error
    for text in (item.title, item.text, *_texts(attributes)):
        if "\x00" in text:
            raise ValueError("a text holds a NUL character")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError("a text holds half of a surrogate pair") from error
    return {
        "id": item.id,
        "title": item.title,
        "text": item.text,
        "category": item.category,
        "price": None if item.price is None else float(item.price),
        "available": item.available,
        "attributes": attributes,
        "deleted": False,
    }


def as_item(row: Row[Any]) -> CatalogueItem:
    """The item of a row that is not deleted."""
    return CatalogueItem(
        row.id, row.title, row.text, row.category, row.price, row.available, row.attributes
    )


def says_the_same(row: Row[Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a stored row already says what ``as_row`` gives."""
    return not row.deleted and all(getattr(row, name) == wanted[name] for name in WRITTEN)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
