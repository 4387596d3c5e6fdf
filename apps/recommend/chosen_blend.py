"""The blend of the bundle in use, and whether a refit may take it as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from models.recommendation.recipe import MOST_ITEMS_SOLVED, RecommendRecipe
from models.recommendation.recommender import Blend
from shared.histories import Histories

MOST_GROWTH = 1.2
"""Of so many times more items or events, or fewer, the blend is chosen again."""


@dataclass(frozen=True, slots=True)
class ChosenBlend:
    """A blend, and how many items and events there were when it was chosen."""

    blend: Blend
    items: int
    events: int

    @classmethod
    def on(cls, blend: Blend, histories: Histories) -> Self:
        """One that was chosen on these histories."""
        return cls(blend, histories.items, len(histories.rows))

    @property
    def counts(self) -> dict[str, int]:
        """The items and events, fit for a card."""
        return {"items": self.items, "events": self.events}

    @classmethod
    def of(
        cls, card: Mapping[str, Any], recipe: RecommendRecipe, histories: Histories
    ) -> Self | None:
        """The blend of a bundle's card where it may serve another fit: the same recipe, and at most
        ``MOST_GROWTH`` times the items and events of then, nor fewer by as much."""
        settings, counts = card.get("recipe"), card.get("blend_chosen_on")
        if not counts or not settings or set(settings) != set(recipe.as_card()):
            return None
        if RecommendRecipe.of(settings) != recipe:
            return None
        for now, then in (
            (histories.items, int(counts["items"])),
            (len(histories.rows), int(counts["events"])),
        ):
            if not then <= MOST_GROWTH * now <= MOST_GROWTH**2 * then:
                return None
        solved = [n <= MOST_ITEMS_SOLVED for n in (histories.items, int(counts["items"]))]
        if solved[0] != solved[1]:  # the other kind of behaviour has scores of another scale
            return None
        return cls(Blend(**card["blend"]), int(counts["items"]), int(counts["events"]))
