"""What invented shoppers like: how much each of them is drawn to each item, and when that moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.catalogue import CatalogueItem

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Traits:
    """Items as the generator sees them: one row an item.

    ``themes`` float64 [n, themes], rows that sum to 1 (or to 0 without a theme); ``colours`` and
    ``kinds`` lists of n words (blank where there is none); ``price_level`` float64 [n] in [0, 1],
    the share of items of the category that cost less.
    """

    themes: Floats
    theme_names: tuple[str, ...]
    colours: tuple[str, ...]
    kinds: tuple[str, ...]
    price_level: Floats

    @classmethod
    def of(cls, items: Sequence[CatalogueItem]) -> Traits:
        """From items; one without themes has its category for its only theme."""
        own = [_themes(item) for item in items]
        names = tuple(sorted({theme for themes in own for theme in themes}))
        column = {name: number for number, name in enumerate(names)}
        themes = np.zeros((len(items), len(names)))
        for row, wanted in enumerate(own):
            for theme in wanted:
                themes[row, column[theme]] = 1.0 / len(wanted)
        return cls(
            themes,
            names,
            tuple(str(item.attributes.get("colour", "")) for item in items),
            tuple(str(item.attributes.get("kind", "")) for item in items),
            _price_levels(items),
        )


def _themes(item: CatalogueItem) -> tuple[str, ...]:
    themes = item.attributes.get("themes")
    if isinstance(themes, list) and themes:
        return tuple(str(theme) for theme in themes)
    return (item.category or "everything",)


def _price_levels(items: Sequence[CatalogueItem]) -> Floats:
    levels = np.full(len(items), 0.5)
    rows_of: dict[str | None, list[int]] = {}
    for row, item in enumerate(items):
        if item.price is not None:
            rows_of.setdefault(item.category, []).append(row)
    for rows in rows_of.values():
        prices = np.array([items[row].price for row in rows], dtype=np.float64)
        below = (prices[:, None] > prices[None, :]).sum(axis=1)
        levels[rows] = below / max(1, len(rows) - 1)
    return levels


@dataclass(frozen=True, eq=False, slots=True)
class Shopper:
    """One invented person: appeal of every item (float64 [n], 0 on) at the start and at the end
    of the time that is generated. In between the one passes into the other."""

    at_first: Floats
    at_last: Floats

    def appeal(self, progress: float) -> Floats:
        """The appeal of each item when ``progress`` (0 to 1) of the time has gone by."""
        return (1.0 - progress) * self.at_first + progress * self.at_last


def draw_shopper(
    traits: Traits, popularity: Floats, drift: float, random: np.random.Generator
) -> Shopper:
    """A person with two or three favourite themes, one favourite colour and a purse.

    Themes are drawn by how many items they have. With the probability ``drift`` one favourite
    theme is given up for another in the course of time.
    """
    weight = traits.themes.sum(axis=0)
    count = min(int(random.integers(2, 4)), len(weight))
    drawn = random.choice(len(weight), size=min(count + 1, len(weight)), replace=False,
                          p=weight / weight.sum())  # fmt: skip
    favourites = drawn[:count]
    shares = random.dirichlet(np.full(count, 3.0))
    later = favourites.copy()
    if random.random() < drift and len(drawn) > count:
        later[np.argmax(shares)] = drawn[count]
    known = sorted({colour for colour in traits.colours if colour})
    colour = known[int(random.integers(len(known)))] if known else ""
    purse = random.random()
    liked = np.array([bool(colour) and own == colour for own in traits.colours])
    character = np.exp(0.5 * liked - 2.0 * (traits.price_level - purse) ** 2)
    return Shopper(
        *(
            (traits.themes[:, themes] @ shares) ** 1.5 * character * popularity
            for themes in (favourites, later)
        )
    )


def draw_popularity(items: int, skew: float, random: np.random.Generator) -> Floats:
    """How well known each item is (float64 [n], mean 1): Zipf's law with the exponent ``skew``."""
    weights = np.arange(1, items + 1, dtype=np.float64) ** -skew
    random.shuffle(weights)
    return np.asarray(weights / weights.mean())
