"""The shapes of ``/v1/recommend``: items, events and users.

Lists have shapes of their own in ``shared.api.recommend_lists``, bundles and experiments in
``shared.api.recommend_operations``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue

from shared.api.shapes import Moment, Shape
from shared.catalogue import MAX_ID, MAX_TEXT, MAX_TITLE, EventType

MOST_LINES = 1_000
"""Items or events of one request."""


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("an id holds printable characters, and not only blanks")
    return text


def _storable(attributes: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name, value in attributes.items():
        _storable_text(name)
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, str):
                _storable_text(part)
    return attributes


def _storable_text(text: str) -> str:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("a text must not hold NUL characters or half of a surrogate pair")
    return text


Id = Annotated[str, Field(min_length=1, max_length=MAX_ID), AfterValidator(_printable)]
"""The id of an item, a user, an event or a session, and the name of a category."""

Plain = Annotated[str, AfterValidator(_storable_text)]
Share = Annotated[float, Field(ge=0, le=1)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Attributes = Annotated[
    dict[str, JsonValue],
    Field(
        max_length=64,
        description="further properties to filter by: each a text, a number, a truth value or a "
        "list of texts",
    ),
    AfterValidator(_storable),
]


# Items and events


class ItemBody(Shape):
    """An item without its id, which the path names."""

    title: Annotated[Plain, Field(min_length=1, max_length=MAX_TITLE, pattern=r"\S")]
    text: Annotated[Plain, Field(max_length=MAX_TEXT)] = ""
    category: Id | None = None
    price: Price | None = Field(default=None, description="in the catalogue's currency")
    available: bool = True
    attributes: Attributes = Field(default_factory=dict)


class ItemShape(ItemBody):
    """An item of the catalogue."""

    id: Id


class ItemsBody(Shape):
    """Up to 1,000 items. A line that is no item is told of and stops none of the others."""

    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_LINES)] = Field(
        description="each as ItemShape describes it",
        examples=[[{"id": "mug-1", "title": "Enamel mug", "category": "Kitchen", "price": 12.5}]],
    )


class LineReject(Shape):
    """A line that was not taken in, and why. ``line`` counts from 0."""

    line: int
    reason: str


class ItemsReceipt(Shape):
    """What became of the items: written before this was answered."""

    added: int
    changed: int
    unchanged: int
    rejects: list[LineReject] = Field(default_factory=list)


class EventBody(Shape):
    """What a user did. A second event of the same id changes nothing."""

    id: Id | None = Field(default=None, description="one is made where none is given")
    user: Id
    item: Id
    type: EventType = "view"
    at: Moment | None = Field(default=None, description="now where none is given")
    session: Id | None = None
    value: Annotated[float, Field(ge=0, le=5)] | None = Field(
        default=None, description="the stars of a rating, and of nothing else"
    )
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0


class EventsBody(Shape):
    """One event or up to 1,000. A line that is no event is told of and stops none of the others."""

    events: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_LINES)] = Field(
        description="each as EventBody describes it",
        examples=[[{"id": "e-1", "user": "ann", "item": "mug-1", "type": "view"}]],
    )


class EventsReceipt(Shape):
    """What became of the events: written before this was answered."""

    added: int
    repeated: int = Field(description="their ids were known: nothing was changed")
    unknown_items: int = Field(description="kept, and counted once their item is in the catalogue")
    rejects: list[LineReject] = Field(default_factory=list)


# Users


class HistoryEntry(Shape):
    """One thing that a user did; ``title`` is null where the item is not in the catalogue."""

    item: str
    title: str | None
    type: str
    at: datetime
    strength: float = Field(description="below 0 it speaks against the item")
    session: str | None = None


class UserShape(Shape):
    """What is known of a user; one who is not known has no events."""

    id: str
    events: int = Field(description="in the history that lists are made of (the newest 200)")
    bought: list[str]
    history: list[HistoryEntry] = Field(description="newest first")


class UserCount(Shape):
    """A user and how many events there are."""

    id: str
    events: int


class Users(Shape):
    """Users whose id begins so, those with the most events first."""

    users: list[UserCount]


class ForgetShape(Shape):
    """The receipt of a deletion: what was removed. It names the user by a hash only."""

    id: str
    user_hash: str = Field(description="sha256 of tenant and user")
    at: datetime
    removed: dict[str, int]
