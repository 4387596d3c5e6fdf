"""Which rows of a catalogue a request allows, and which filter took the others away."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
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
    standing = arrays.remembered(_standing_key(filters), lambda: _standing(arrays, filters))
    allowed = standing.copy()
    for _, kept in _own_steps(arrays, filters, bought, seen):
        if kept.wanted:
            allowed &= _mask(len(arrays), kept.rows)
        else:
            allowed[kept.rows] = False
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


@dataclass(frozen=True, slots=True)
class _Own:
    """Rows that are all that is wanted, or that are not wanted."""

    rows: Rows
    wanted: bool = False


def _steps(
    arrays: CatalogueArrays,
    filters: Filters,
    bought: Collection[int] | Rows,
    seen: Collection[int] | Rows,
) -> Iterator[tuple[Reason, NDArray[np.bool_]]]:
    """Each filter that the request sets, in the order of ``Reason``, and the rows that pass it,
    bool [n]."""
    n = len(arrays)
    own = [
        (reason, _mask(n, one.rows) if one.wanted else ~_mask(n, one.rows))
        for reason, one in _own_steps(arrays, filters, bought, seen)
    ]
    lists = [step for step in own if step[0] in ("include", "exclude")]
    yield from lists
    yield from _standing_steps(arrays, filters)
    yield from own[len(lists) :]


def _own_steps(
    arrays: CatalogueArrays,
    filters: Filters,
    bought: Collection[int] | Rows,
    seen: Collection[int] | Rows,
) -> Iterator[tuple[Reason, _Own]]:
    """The filters that name rows: few, and others in each request."""
    if filters.include is not None:
        yield "include", _Own(_rows(arrays, filters.include), wanted=True)
    if filters.exclude:
        yield "exclude", _Own(_rows(arrays, filters.exclude))
    if filters.hide != "none":
        yield "bought", _Own(_as_rows(bought))
    if filters.hide == "seen":
        yield "seen", _Own(_as_rows(seen))


def _standing_key(filters: Filters) -> Hashable:
    """What of the filters does not name rows: the requests of one page share it."""
    return (
        filters.categories,
        filters.exclude_categories,
        filters.min_price,
        filters.max_price,
        filters.available_only,
        frozenset((name, _texts(values)) for name, values in filters.attributes.items()),
    )


def _standing(arrays: CatalogueArrays, filters: Filters) -> NDArray[np.bool_]:
    """The listed rows that pass all of those, bool [n]."""
    left = arrays.listed.copy()
    for _, kept in _standing_steps(arrays, filters):
        left &= kept
    return left


def _standing_steps(
    arrays: CatalogueArrays, filters: Filters
) -> Iterator[tuple[Reason, NDArray[np.bool_]]]:
    n = len(arrays)
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
            passed &= _mask(n, *(lookup[text] for text in _texts(values) if text in lookup))
        yield "attributes", passed


def _texts(values: Iterable[Any]) -> frozenset[str]:
    return frozenset(attribute_text(value) for value in values)


def _rows(arrays: CatalogueArrays, ids: Iterable[str]) -> Rows:
    return _as_rows([arrays.row_of[item] for item in ids if item in arrays.row_of])


def _as_rows(rows: Collection[int] | Rows) -> Rows:
    return rows if isinstance(rows, np.ndarray) else np.fromiter(rows, np.int64, len(rows))


def _mask(n: int, *groups: Rows) -> NDArray[np.bool_]:
    mask = np.zeros(n, np.bool_)
    for rows in groups:
        mask[rows] = True
    return mask
