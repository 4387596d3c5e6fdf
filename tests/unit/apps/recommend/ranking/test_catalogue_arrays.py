"""A changed catalogue equals one that was made anew, and the old one stays as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommend.ranking.catalogue_arrays import CatalogueArrays, attribute_text
from shared.catalogue import CatalogueItem

pytestmark = pytest.mark.unit

NAMES = [f"item-{number}" for number in range(8)]

attributes = st.dictionaries(
    st.sampled_from(["colour", "size", "new"]),
    st.one_of(
        st.sampled_from(["red", "blue", "3"]),
        st.sampled_from([3, 3.0, 2.5]),
        st.booleans(),
        st.lists(st.sampled_from(["red", "blue"]), max_size=2),
    ),
    max_size=3,
)


@st.composite
def items(draw: st.DrawFn, name: str) -> CatalogueItem:
    return CatalogueItem(
        name,
        title="A thing",
        category=draw(st.sampled_from([None, "tools", "toys"])),
        price=draw(st.sampled_from([None, 0.0, 5.0, 20.0])),
        available=draw(st.booleans()),
        attributes=draw(attributes),
    )


catalogues = st.lists(st.sampled_from(NAMES), unique=True).flatmap(
    lambda names: st.tuples(*(items(name) for name in names))
)


def described(arrays: CatalogueArrays) -> list[Any]:
    """All that filters can learn of each row, free of the order in which categories came."""
    return [
        (
            name,
            bool(arrays.listed[row]),
            None if arrays.categories[row] < 0 else arrays.category_names[arrays.categories[row]],
            None if np.isnan(arrays.prices[row]) else float(arrays.prices[row]),
            bool(arrays.available[row]),
            sorted(
                (attribute, value)
                for attribute, values in arrays.attributes.items()
                for value, rows in values.items()
                if row in rows
            ),
        )
        for row, name in enumerate(arrays.item_ids)
    ]


@settings(max_examples=60, deadline=None)
@given(
    before=catalogues,
    steps=st.lists(st.tuples(catalogues, st.sets(st.sampled_from(NAMES))), min_size=1, max_size=3),
    late=st.integers(0, 8),
)
def test_changes_come_to_the_same_as_a_catalogue_made_anew(
    before: tuple[CatalogueItem, ...],
    steps: list[tuple[tuple[CatalogueItem, ...], set[str]]],
    late: int,
) -> None:
    present = {item.id: item for item in before if NAMES.index(item.id) < late}
    arrays = CatalogueArrays.of(NAMES[:late], present)
    for changed, deleted in steps:
        kept = described(arrays)
        after = arrays.with_changes(NAMES, changed, deleted)
        assert described(arrays) == kept
        arrays = after
        for name in deleted:
            present.pop(name, None)
        present.update({item.id: item for item in changed})
    assert described(arrays) == described(CatalogueArrays.of(NAMES, present))
    for values in arrays.attributes.values():
        for rows in values.values():
            assert len(rows)
            assert (np.diff(rows) > 0).all()


def test_what_is_not_in_the_catalogue_is_not_listed() -> None:
    item = CatalogueItem("b", title="B", category="tools", price=2.0, attributes={"size": [3, "L"]})
    arrays = CatalogueArrays.of(["a", "b"], {"b": item})
    assert arrays.listed.tolist() == [False, True]
    assert arrays.available.tolist() == [False, True]
    assert arrays.categories.tolist() == [-1, 0]
    assert arrays.category_names == ("tools",)
    assert np.isnan(arrays.prices[0])
    assert {value: rows.tolist() for value, rows in arrays.attributes["size"].items()} == {
        "3": [1],
        "L": [1],
    }


def test_items_without_a_row_and_rows_of_another_scorer_are_refused() -> None:
    item = CatalogueItem("b", title="B")
    with pytest.raises(ValueError, match="'b' has no row"):
        CatalogueArrays.of(["a"], {"b": item})
    arrays = CatalogueArrays.of(["a", "b"], {"b": item})
    with pytest.raises(ValueError, match="another scorer"):
        arrays.with_changes(["b", "a"], [])
    with pytest.raises(ValueError, match="another scorer"):
        arrays.with_changes(["a"], [])
    assert arrays.with_changes(["a", "b"], [], ["never heard of"]).listed.tolist() == [False, True]


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (3.0, "3"), ("3", "3"), (2.5, "2.5"), (True, "true"), (False, "false"), ("x", "x")],
)
def test_values_of_attributes_are_compared_as_texts(value: Any, text: str) -> None:
    assert attribute_text(value) == text
