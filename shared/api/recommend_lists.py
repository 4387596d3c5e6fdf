"""The shapes of ``/v1/recommend``: lists, what is like an item, and the catalogue as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from shared.api.recommend import Id, Plain, Price, Share
from shared.api.shapes import Shape, Text
from shared.catalogue import EventType

MOST_ENTRIES = 200
"""Items of one list."""

Source = Literal["behaviour", "text", "popular", "exploration"]
Hide = Literal["bought", "seen", "none"]


class FilterShape(Shape):
    """Which items a list may hold: all of the conditions that are given."""

    categories: Annotated[list[Id], Field(max_length=200)] = Field(default_factory=list)
    exclude_categories: Annotated[list[Id], Field(max_length=200)] = Field(default_factory=list)
    min_price: Price | None = None
    max_price: Price | None = None
    available_only: bool = True
    include: Annotated[list[Id], Field(max_length=5_000)] | None = Field(
        default=None, description="nothing but these items"
    )
    exclude: Annotated[list[Id], Field(max_length=5_000)] = Field(default_factory=list)
    attributes: Annotated[
        dict[Id, Annotated[list[Annotated[Plain, Field(max_length=500)]], Field(max_length=200)]],
        Field(max_length=32),
    ] = Field(default_factory=dict, description="an attribute has one of these values")
    hide: Hide = Field(default="bought", description="what the user bought, saw, or nothing")


class ListSettings(Shape):
    """How a list is made. An experiment's arm may set some of it for the users it is shown to."""

    k: Annotated[int, Field(ge=1, le=MOST_ENTRIES)] = 10
    filters: FilterShape = Field(default_factory=FilterShape)
    diversity: Share = Field(default=0.0, description="maximal marginal relevance: 0 is none")
    category_cap: Annotated[int, Field(ge=1, le=MOST_ENTRIES)] | None = Field(
        default=None, description="at most so many items of one category"
    )
    exploration: Share = Field(default=0.0, description="share of the list for new items")
    damping: Share = Field(default=0.0, description="how much popularity is held down")
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = Field(
        default=None, description="which new items are tried; another choice each time if unset"
    )
    explain: bool = Field(default=True, description="with the reasons of each entry")
    record: bool = Field(default=True, description="count it as shown (an impression)")


class ListBody(ListSettings):
    """A list for a user."""


class SessionEvent(Shape):
    """What happened in a visit that is not stored; the order is that of the list."""

    item: Id
    type: EventType = "view"
    value: Annotated[float, Field(ge=0, le=5)] | None = None


class SessionBody(ListSettings):
    """A list for a visit: exactly one of a stored session's id, item ids, or events."""

    session: Id | None = None
    items: Annotated[list[Id], Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="viewed, oldest first"
    )
    events: Annotated[list[SessionEvent], Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="oldest first"
    )


class QueryBody(Shape):
    """The items that fit a text, by what it means."""

    text: Text
    k: Annotated[int, Field(ge=1, le=MOST_ENTRIES)] = 10
    filters: FilterShape = Field(default_factory=FilterShape)


class ItemSummary(Shape):
    """An item as lists show it."""

    id: str
    title: str
    text: str = Field(description="its first 280 characters")
    category: str | None
    price: float | None
    available: bool
    attributes: dict[str, Any] = Field(default_factory=dict)


class BecauseShape(Shape):
    """An event of the history that spoke for an entry, and its share of what did."""

    item: str
    title: str | None
    type: str = Field(description="what the user did with it: view, purchase...")
    share: Share


class NearestShape(Shape):
    """The item of the history whose text is nearest to that of a new item."""

    item: str
    title: str | None


class ReasonsShape(Shape):
    """Why an item is in a list. The shares of ``because``, ``other`` and ``popular`` sum to 1 where
    anything spoke for it."""

    because: list[BecauseShape] = Field(description="the greatest five, the greatest first")
    other: Share = Field(default=0.0, description="of the history's items that are not told")
    popular: Share
    nearest: NearestShape | None = Field(default=None, description="for a new item")


class EntryShape(Shape):
    """One place of a list."""

    item: ItemSummary
    score: float
    source: Source
    reasons: ReasonsShape | None = None


class MissingShape(Shape):
    """Why a list is shorter than asked: how many items a condition took out."""

    reason: str
    items: int


class ListShape(Shape):
    """A list: k entries, or all that are possible and why there are no more."""

    request_id: str | None = Field(
        description="the impression, for clicks; null where it was not to be counted"
    )
    bundle: str | None = Field(description="null: nothing is fitted yet, text and popularity only")
    experiment: str | None = None
    arm: str | None = None
    events: int = Field(description="of the history that the list was made of")
    entries: list[EntryShape]
    missing: list[MissingShape] = Field(default_factory=list)


class Items(Shape):
    """Items in the order of their ids."""

    items: list[ItemSummary]


class ScoredItem(Shape):
    """An item and how near it is, or how well it fits."""

    item: ItemSummary
    score: float


class SimilarShape(Shape):
    """The items nearest to an item, the nearest first."""

    item: ItemSummary
    bundle: str | None
    entries: list[ScoredItem]


class QueryShape(Shape):
    """The items that fit a text, the best first."""

    bundle: str | None
    entries: list[ScoredItem]
    missing: list[MissingShape] = Field(default_factory=list)


class ExplainBody(Shape):
    """Why an item has its score for a user."""

    user: Id
    item: Id


class ExplainShape(Shape):
    """A score as the sum of its parts, and what of the history it came from."""

    user: str
    item: ItemSummary
    bundle: str | None
    score: float
    parts: dict[str, float] = Field(description="behaviour, text, popular: they sum to the score")
    reasons: ReasonsShape


# The catalogue as a whole


class MapPoint(Shape):
    """An item in the plane."""

    id: str
    title: str
    category: str | None
    x: float
    y: float


class MapShape(Shape):
    """The catalogue in two dimensions: principal components of the items' text vectors."""

    bundle: str | None
    items: int = Field(description="in the catalogue; at most 2,000 of them are points")
    points: list[MapPoint]


class CategoryCount(Shape):
    """A category and how many items it has; null: items without one."""

    category: str | None
    items: int


class StatusShape(Shape):
    """A tenant at a glance."""

    tenant: str
    items: int
    events: int
    bundle: str | None = Field(description="null: nothing is fitted yet, text and popularity only")
    synthetic: bool = Field(description="the behaviour is made up by a generator")
    categories: list[CategoryCount]
