"""Filters against a loop that reads each item; what was taken away adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from apps.recommend.ranking.catalogue_arrays import CatalogueArrays, attribute_text
from apps.recommend.ranking.filters import Filters, Missing, allowed_rows, missing_because
from shared.catalogue import CatalogueItem
from tests.fakes.catalogue_strategies import catalogues, filters_of, row_sets

pytestmark = pytest.mark.unit


def passes(
    item: CatalogueItem | None, row: int, filters: Filters, bought: set[int], seen: set[int]
) -> bool:
    """What the filters say of one item, read from the item itself."""
    if item is None:
        return False
    ranged = filters.min_price is not None or filters.max_price is not None
    values = {
        name: {attribute_text(one) for one in (held if isinstance(held, list) else [held])}
        for name, held in item.attributes.items()
    }
    return (
        (filters.include is None or item.id in filters.include)
        and item.id not in filters.exclude
        and (not filters.categories or item.category in filters.categories)
        and item.category not in filters.exclude_categories
        and not (ranged and item.price is None)
        and not (filters.min_price is not None and (item.price or 0) < filters.min_price)
        and not (filters.max_price is not None and (item.price or 0) > filters.max_price)
        and (item.available or not filters.available_only)
        and all(
            values.get(name, set()) & {attribute_text(one) for one in wanted}
            for name, wanted in filters.attributes.items()
        )
        and not (filters.hide in ("bought", "seen") and row in bought)
        and not (filters.hide == "seen" and row in seen)
    )


@settings(max_examples=100, deadline=None)
@given(catalogue=catalogues(), filters=filters_of(), bought=row_sets(), seen=row_sets())
def test_allowed_is_what_a_loop_over_the_items_allows(
    catalogue: list[CatalogueItem | None], filters: Filters, bought: set[int], seen: set[int]
) -> None:
    ids = [f"item-{row}" for row in range(len(catalogue))]
    arrays = CatalogueArrays.of(ids, {item.id: item for item in catalogue if item})
    bought = {row for row in bought if row < len(catalogue)}
    seen = {row for row in seen if row < len(catalogue)}
    allowed = allowed_rows(arrays, filters, bought=bought, seen=np.array(sorted(seen), np.int64))
    expected = [passes(item, row, filters, bought, seen) for row, item in enumerate(catalogue)]
    assert allowed.tolist() == expected
    missing = missing_because(arrays, filters, bought=bought, seen=seen)
    assert sum(one.items for one in missing) == arrays.listed.sum() - allowed.sum()
    assert all(one.items > 0 for one in missing)


def test_each_filter_counts_what_the_ones_before_it_left() -> None:
    items = [
        CatalogueItem("item-0", "A", category="tools", price=5.0, attributes={"colour": "red"}),
        CatalogueItem("item-1", "B", category="tools", price=5.0, attributes={"colour": "blue"}),
        CatalogueItem("item-2", "C", category="toys", price=50.0),
        CatalogueItem("item-3", "D", category="tools", price=50.0, available=False),
        CatalogueItem("item-4", "E", category="tools", price=5.0, available=False),
        CatalogueItem("item-5", "F", price=5.0, attributes={"colour": "red"}),
        CatalogueItem("item-6", "G", category="tools", price=5.0, attributes={"colour": "red"}),
    ]
    arrays = CatalogueArrays.of([item.id for item in items], {item.id: item for item in items})
    filters = Filters(
        exclude=frozenset({"item-6"}),
        exclude_categories=frozenset({"toys"}),
        max_price=10,
        attributes={"colour": frozenset({"red"})},
        hide="seen",
    )
    assert missing_because(arrays, filters, bought=[0], seen=[0, 5]) == (
        Missing("exclude", 1),
        Missing("category", 1),
        Missing("price", 1),
        Missing("unavailable", 1),
        Missing("attributes", 1),
        Missing("bought", 1),
        Missing("seen", 1),
    )
    assert not allowed_rows(arrays, filters, bought=[0], seen=[0, 5]).any()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"min_price": -1.0}, "min_price is -1.0"),
        ({"max_price": float("nan")}, "max_price is nan"),
        ({"min_price": 3.0, "max_price": 2.0}, "above max_price"),
        ({"hide": "all"}, "'all'"),
    ],
)
def test_filters_that_make_no_sense_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Filters(**wrong)
