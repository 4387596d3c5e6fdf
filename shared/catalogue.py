"""The two records that the recommender takes in: an item of a catalogue, and what a user did.

    connector -> CatalogueItem, BehaviourEvent -> Histories -> fit -> bundle -> list -> event again

Each validates itself when it is made. Times are aware UTC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, get_args

from shared.records import Reject

EventType = Literal["view", "click", "cart", "purchase", "rating", "dislike"]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)

EVENT_STRENGTHS: Mapping[str, float] = MappingProxyType(
    {"view": 1.0, "click": 1.0, "cart": 2.0, "purchase": 3.0, "dislike": -2.0}
)
"""How much an event says of a user's interest; below zero it speaks against the item."""

NEUTRAL_RATING = 3.0
"""Of 1 to 5 stars: what lies above speaks for the item, what lies below against it."""

MAX_ID = 120
MAX_TITLE = 500
MAX_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """One item. ``price`` is in the catalogue's currency, None where it is not known.

    ``attributes`` are further properties to filter by, each a text, a number, a truth value or a
    list of texts.
    """

    id: str
    title: str
    text: str = ""
    category: str | None = None
    price: float | None = None
    available: bool = True
    attributes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        _check_id("id", self.id)
        if not self.title.strip():
            raise ValueError("an item needs a title that is not blank")
        if len(self.title) > MAX_TITLE or len(self.text) > MAX_TEXT:
            raise ValueError(f"a title has at most {MAX_TITLE} characters, a text {MAX_TEXT}")
        if self.category is not None:
            _check_id("category", self.category)
        if self.price is not None and not (math.isfinite(self.price) and self.price >= 0):
            raise ValueError(f"price is {self.price}, not a number from 0 on")

    @property
    def whole(self) -> str:
        """Title and text: what the encoder reads."""
        return f"{self.title}\n{self.text}" if self.text.strip() else self.title


@dataclass(frozen=True, slots=True)
class BehaviourEvent:
    """What a user did with an item.

    ``value`` is the stars of a rating (1 to 5). ``weight`` scales how much the event counts.
    ``at`` is None where a source gives the order of events and not their times.
    """

    id: str
    user: str
    item: str
    type: EventType
    at: datetime | None
    session: str | None = None
    value: float | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_id("id", self.id)
        _check_id("user", self.user)
        _check_id("item", self.item)
        if self.session is not None:
            _check_id("session", self.session)
        if self.type not in EVENT_TYPES:
            raise ValueError(f"type is {self.type!r}, not one of {', '.join(EVENT_TYPES)}")
        if (self.type == "rating") != (self.value is not None):
            raise ValueError("a rating needs a value, and no other event has one")
        if self.value is not None and not 0 <= self.value <= 5:
            raise ValueError(f"a rating's value lies from 0 to 5, and is {self.value}")
        if not (math.isfinite(self.weight) and 0 < self.weight <= 1000):
            raise ValueError(f"weight is {self.weight}, not above 0 and at most 1000")
        if self.at is not None and self.at.utcoffset() is None:
            raise ValueError("at needs a time zone")

    @property
    def strength(self) -> float:
        """How much the event says for the item (above 0) or against it (below 0)."""
        if self.value is not None:
            distance = self.value - NEUTRAL_RATING
            return self.weight * (distance if distance else 0.5)
        return self.weight * EVENT_STRENGTHS[self.type]

    @property
    def seconds(self) -> float:
        """Seconds since 1970 UTC; not a number where the time is not known."""
        return math.nan if self.at is None else self.at.astimezone(UTC).timestamp()


@dataclass(frozen=True, slots=True)
class BehaviourData:
    """A catalogue and what happened in it, as a connector hands them on.

    ``events`` stand in their order within each user, which is all there is where they have no
    times. ``rejects`` are rows that became neither.
    """

    name: str
    items: tuple[CatalogueItem, ...]
    events: tuple[BehaviourEvent, ...]
    rejects: tuple[Reject, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether every event has its time."""
        return all(event.at is not None for event in self.events)


def _check_id(name: str, value: str) -> None:
    if not value.strip() or len(value) > MAX_ID or not value.isprintable():
        raise ValueError(f"{name} needs 1 to {MAX_ID} printable characters, and is {value[:40]!r}")
