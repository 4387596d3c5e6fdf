"""What filters ask of a catalogue, as arrays over the rows of the scorer.

    CatalogueItem -> CatalogueArrays -> allowed rows -> list

Never changed once made: a changed catalogue is a new one that shares what stayed as it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shared.catalogue import CatalogueItem
from shared.histories import Rows

NO_CATEGORY = -1
"""The category of an item that has none, and of a row without an item."""

MOST_MASKS = 64
"""Sets of rows that are remembered, one byte an item each: pages ask for few."""

Attribute = tuple[str, str]
"""An attribute's name and one of its values as text."""


@dataclass(frozen=True, eq=False, slots=True)
class CatalogueArrays:
    """A catalogue over rows: ``n`` is how many items the scorer knows.

    ``listed`` says whether the row's item is in the catalogue at present. ``categories`` are
    positions in ``category_names``, or ``NO_CATEGORY``. ``prices`` are not a number where unknown.
    ``attributes`` holds the rows (ascending) of each value of each attribute, ``attributes_of``
    the attributes of a row.
    """

    item_ids: tuple[str, ...]
    row_of: Mapping[str, int]
    listed: NDArray[np.bool_]
    categories: NDArray[np.int32]
    category_names: tuple[str, ...]
    prices: NDArray[np.float64]
    available: NDArray[np.bool_]
    attributes: Mapping[str, Mapping[str, Rows]]
    attributes_of: Mapping[int, frozenset[Attribute]]
    _masks: dict[Hashable, NDArray[np.bool_]] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, item_ids: Sequence[str], items: Mapping[str, CatalogueItem]) -> Self:
        """The catalogue over the scorer's rows; rows whose item is not in it are not listed.

        ValueError for an item without a row: the scorer has to know it first (``with_items``).
        """
        nothing = cls(
            (),
            {},
            np.zeros(0, np.bool_),
            np.zeros(0, np.int32),
            (),
            np.zeros(0, np.float64),
            np.zeros(0, np.bool_),
            {},
            {},
        )
        return nothing.with_changes(item_ids, tuple(items.values()))

    def __len__(self) -> int:
        return len(self.item_ids)

    def remembered(self, key: Hashable, make: Callable[[], NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """What was made of this catalogue under that key, bool [n], made now if it was not."""
        found = self._masks.get(key)
        if found is None:
            if len(self._masks) >= MOST_MASKS:
                self._masks.clear()
            found = self._masks[key] = make()
            found.flags.writeable = False
        return found

    def with_changes(
        self,
        item_ids: Sequence[str],
        items: Iterable[CatalogueItem],
        deleted: Iterable[str] = (),
    ) -> Self:
        """The catalogue with these items as they now are, and without the deleted ones.

        ``item_ids`` are those of the scorer, which may have got more rows at the end; ValueError
        where its first rows are others, and for an item without a row. Deleted items that have no
        row are passed over.
        """
        known = len(self.item_ids)
        ids = tuple(item_ids)
        if ids[:known] != self.item_ids:
            raise ValueError("the rows of another scorer: make the arrays anew with of()")
        row_of = self.row_of
        if len(ids) > known:
            row_of = {**row_of, **{item: row for row, item in enumerate(ids[known:], known)}}
        changed: dict[int, CatalogueItem | None] = {
            row_of[item]: None for item in deleted if item in row_of
        }
        for item in items:
            if item.id not in row_of:
                raise ValueError(f"item {item.id!r} has no row: give it to the scorer first")
            changed[row_of[item.id]] = item
        more = len(ids) - known
        listed = np.pad(self.listed, (0, more))
        categories = np.pad(self.categories, (0, more), constant_values=NO_CATEGORY)
        prices = np.pad(self.prices, (0, more), constant_values=np.nan)
        available = np.pad(self.available, (0, more))
        numbers = {name: number for number, name in enumerate(self.category_names)}
        for row, now in changed.items():
            listed[row] = now is not None
            available[row] = now is not None and now.available
            prices[row] = np.nan if now is None or now.price is None else now.price
            categories[row] = (
                NO_CATEGORY
                if now is None or now.category is None
                else numbers.setdefault(now.category, len(numbers))
            )
        new = {
            row: frozenset[Attribute]() if now is None else _of(now) for row, now in changed.items()
        }
        return type(self)(
            ids,
            row_of,
            listed,
            categories,
            tuple(numbers),
            prices,
            available,
            _reindexed(self.attributes, self.attributes_of, new),
            {**self.attributes_of, **new},
        )


def attribute_text(value: Any) -> str:
    """A value of an attribute as the text that filters compare: 3, 3.0 and "3" are one value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _of(item: CatalogueItem) -> frozenset[Attribute]:
    return frozenset(
        (name, attribute_text(value))
        for name, values in item.attributes.items()
        for value in (values if isinstance(values, list | tuple | set | frozenset) else [values])
        if value is not None
    )


def _reindexed(
    attributes: Mapping[str, Mapping[str, Rows]],
    before: Mapping[int, frozenset[Attribute]],
    after: Mapping[int, frozenset[Attribute]],
) -> Mapping[str, Mapping[str, Rows]]:
    """The rows of each attribute's values once the rows of ``after`` have other attributes."""
    gone: defaultdict[Attribute, list[int]] = defaultdict(list)
    come: defaultdict[Attribute, list[int]] = defaultdict(list)
    for row, now in after.items():
        had = before.get(row, frozenset())
        for attribute in had - now:
            gone[attribute].append(row)
        for attribute in now - had:
            come[attribute].append(row)
    touched = sorted(gone.keys() | come.keys())
    fresh = {name: dict(attributes.get(name, {})) for name, _ in touched}
    for name, value in touched:
        values = fresh[name]
        rows = np.array(sorted(come[name, value]), dtype=np.int64)
        if value in values:
            kept = values[value][~np.isin(values[value], gone[name, value])]
            rows = np.sort(np.concatenate([kept, rows]))
        if len(rows):
            values[value] = rows
        else:
            del values[value]
    merged = {**attributes, **fresh}
    return {name: values for name, values in merged.items() if values}
