"""Hypothesis strategies of small catalogues and of what may be asked of them.

Few values for each property, so that filters often meet items, and often contradict one another.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from apps.recommend.ranking.filters import Filters
from shared.catalogue import CatalogueItem

MOST_ITEMS = 30
CATEGORIES = ("tools", "toys", "books")
PRICES = (0.0, 5.0, 10.0, 99.5)
COLOURS = ("red", "blue", "3")


@st.composite
def catalogues(draw: st.DrawFn, *, least: int = 0) -> list[CatalogueItem | None]:
    """One place a row; None is a row whose item left the catalogue. Ids are ``item-<row>``."""
    return [
        draw(
            st.none()
            if draw(st.integers(0, 9)) == 0
            else st.builds(
                CatalogueItem,
                id=st.just(f"item-{row}"),
                title=st.just("A thing"),
                category=st.sampled_from([None, *CATEGORIES]),
                price=st.sampled_from([None, *PRICES]),
                available=st.sampled_from([True, True, False]),
                attributes=_attributes,
            )
        )
        for row in range(draw(st.integers(least, MOST_ITEMS)))
    ]


_attributes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "colour": st.one_of(
            st.sampled_from(COLOURS), st.lists(st.sampled_from(COLOURS), max_size=2)
        ),
        "size": st.sampled_from([3, 3.0, 4.5, "3"]),
        "organic": st.booleans(),
    },
)


def filters_of() -> st.SearchStrategy[Filters]:
    """Filters that name what catalogues hold, and now and then what they do not."""
    ids = st.frozensets(st.integers(0, MOST_ITEMS + 2).map("item-{}".format), max_size=12)
    prices = st.tuples(st.sampled_from([None, *PRICES]), st.sampled_from([None, *PRICES])).map(
        lambda pair: tuple(sorted(pair)) if None not in pair else pair
    )
    names = st.sampled_from([*CATEGORIES, "garden"])
    return st.builds(
        lambda range_of_prices, **rest: Filters(
            min_price=range_of_prices[0], max_price=range_of_prices[1], **rest
        ),
        range_of_prices=prices,
        categories=st.one_of(st.just(frozenset()), st.frozensets(names)),
        exclude_categories=st.one_of(st.just(frozenset()), st.frozensets(names, max_size=2)),
        available_only=st.booleans(),
        include=st.one_of(st.none(), st.none(), ids),
        exclude=st.one_of(st.just(frozenset()), ids),
        attributes=st.one_of(
            st.just({}),
            st.fixed_dictionaries(
                {},
                optional={
                    "colour": st.frozensets(st.sampled_from([*COLOURS, 3]), max_size=2),
                    "size": st.frozensets(st.sampled_from([3, 4.5]), min_size=1),
                    "organic": st.sampled_from([frozenset({True}), frozenset({"false"})]),
                    "never heard of": st.just(frozenset({"x"})),
                },
            ),
        ),
        hide=st.sampled_from(["bought", "seen", "none"]),
    )


def row_sets() -> st.SearchStrategy[set[int]]:
    """Rows that a user bought or has seen."""
    return st.sets(st.integers(0, MOST_ITEMS - 1), max_size=8)
