"""Which rows of a catalogue a request allows, and which filter took the others away."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from apps.recommend.ranking.catalogue_arrays import CatalogueArrays, attribute_text
from shared.histories import Rows

Hide = Literal["bought", "seen", "none"]
Reason = Literal[
    "include",
    "exclude",
    "category",
    "price",
    "unavailable",
    "attributes",
    "bought",
    "seen",
    "category_cap",
    "catalogue_size",
]
"""Why an item is not in a list: the filters in the order in which they are applied, then the cap
on items of a category, and a catalogue that is smaller than the list."""


@dataclass(frozen=True, slots=True)
class Missing:
    """How many items a reason kept from a list that is shorter than was asked for."""

    reason: Reason
    items: int


@dataclass(frozen=True, slots=True)
class Filters:
    """What a request wants to see; an item has to pass all of it.

    ``categories`` empty allows every category and items without one. A price range leaves out
    items of unknown price. ``include`` allows nothing but these ids. Of ``attributes`` an item
    needs one of the values of each name. ``hide`` takes away what the user bought, or all that the
    user has seen (what was bought among it).
    """

    categories: frozenset[str] = frozenset()
    exclude_categories: frozenset[str] = frozenset()
    min_price: float | None = None
    max_price: float | None = None
    available_only: bool = True
    include: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    attributes: Mapping[str, frozenset[Any]] = field(default_factory=lambda: MappingProxyType({}))
    hide: Hide = "bought"

    def __post_init__(self) -> None:
        for name, price in (("min_price", self.min_price), ("max_price", self.max_price)):
            if price is not None and not (math.isfinite(price) and price >= 0):
                raise ValueError(f"{name} is {price}, not a number from 0 on")
        if (
            self.min_price is not None
            and self.max_price is not None
            and self.min_price > self.max_price
        ):
            raise ValueError(f"min_price {self.min_price} is above max_price {self.max_price}")
        if self.hide not in get_args(Hide):
            raise ValueError(f"hide is {self.hide!r}, not one of {', '.join(get_args(Hide))}")


def allowed_rows(
    arrays: CatalogueArrays,
    filters: Filters,
    *,
    bought: Collection[int] | Rows = (),
    seen: Collection[int] | Rows = (),
) -> NDArray[np.bool_]:
    """Whether each row may stand in a list, bool [n].

    ``bought`` and ``seen`` are rows; what a user disliked belongs among the bought ones, as
    something not to be offered again.
    """
    allowed = arrays.listed.copy()
    for _, kept in _steps(arrays, filters, bought, seen):
        allowed &= kept
    return allowed


def missing_because(
    arrays: CatalogueArrays,
    filters: Filters,
    *,
    bought: Collection[int] | Rows = (),
    seen: Collection[int] | Rows = (),
) -> tuple[Missing, ...]:
    """How many items each filter took away of those that the ones before it had left.

    They add up to the listed items that ``allowed_rows`` does not allow.
    """
    left = arrays.listed.copy()
    taken = []
    for reason, kept in _steps(arrays, filters, bought, seen):
        count = int(np.count_nonzero(left & ~kept))
        if count:
            taken.append(Missing(reason, count))
        left &= kept
    return tuple(taken)


def _steps(
    arrays: CatalogueArrays,
    filters: Filters,
    bought: Collection[int] | Rows,
    seen: Collection[int] | Rows,
) -> Iterator[tuple[Reason, NDArray[np.bool_]]]:
    """Each filter that the request sets, and the rows that pass it, bool [n]."""
    n = len(arrays)
    if filters.include is not None:
        yield "include", _mask(n, _rows(arrays, filters.include))
    if filters.exclude:
        yield "exclude", ~_mask(n, _rows(arrays, filters.exclude))
    if filters.categories or filters.exclude_categories:
        wanted = [
            (not filters.categories or name in filters.categories)
            and name not in filters.exclude_categories
            for name in arrays.category_names
        ]
        # The last place is that of items without a category, whose number is -1.
        yield "category", np.array([*wanted, not filters.categories])[arrays.categories]
    if filters.min_price is not None or filters.max_price is not None:
        low = -math.inf if filters.min_price is None else filters.min_price
        high = math.inf if filters.max_price is None else filters.max_price
        yield "price", (arrays.prices >= low) & (arrays.prices <= high)
    if filters.available_only:
        yield "unavailable", arrays.available
    if filters.attributes:
        passed = np.ones(n, np.bool_)
        for name, values in filters.attributes.items():
            lookup = arrays.attributes.get(name, {})
            texts = {attribute_text(value) for value in values}
            passed &= _mask(n, *(lookup[text] for text in texts if text in lookup))
        yield "attributes", passed
    if filters.hide != "none":
        yield "bought", ~_mask(n, bought)
    if filters.hide == "seen":
        yield "seen", ~_mask(n, seen)


def _rows(arrays: CatalogueArrays, ids: Iterable[str]) -> list[int]:
    return [arrays.row_of[item] for item in ids if item in arrays.row_of]


def _mask(n: int, *groups: Collection[int] | Rows) -> NDArray[np.bool_]:
    mask = np.zeros(n, np.bool_)
    for rows in groups:
        mask[rows if isinstance(rows, np.ndarray) else np.fromiter(rows, np.int64, len(rows))] = (
            True
        )
    return mask
