"""When a refit takes the blend of the bundle in use, and when it chooses again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from apps.recommend.chosen_blend import ChosenBlend
from models.recommendation.recipe import RecommendRecipe
from tests.fakes.small_catalogue import BLEND, histories_over, items_of

pytestmark = pytest.mark.unit
RECIPE = RecommendRecipe()
HISTORIES = histories_over(items_of(), users=40)


def card(recipe: RecommendRecipe = RECIPE, **counts: int) -> dict[str, object]:
    """As it comes back out of its file."""
    on = {**ChosenBlend.on(BLEND, HISTORIES).counts, **counts}
    told = {"recipe": recipe.as_card(), "blend": BLEND.as_card(), "blend_chosen_on": on}
    return dict(json.loads(json.dumps(told)))


def test_of_the_same_events_it_is_taken() -> None:
    assert ChosenBlend.of(card(), RECIPE, HISTORIES) == ChosenBlend.on(BLEND, HISTORIES)


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.0, 1.1, 1.4])
@pytest.mark.parametrize("name", ["items", "events"])
def test_it_is_taken_while_the_numbers_are_near(name: str, factor: float) -> None:
    counts = ChosenBlend.on(BLEND, HISTORIES).counts
    found = ChosenBlend.of(card(**{name: round(counts[name] * factor)}), RECIPE, HISTORIES)
    assert (found is not None) == (0.8 < factor < 1.2)


def test_what_it_was_chosen_on_stays_though_it_is_taken_again_and_again() -> None:
    counts = ChosenBlend.on(BLEND, HISTORIES).counts
    earlier = {name: round(count * 0.9) for name, count in counts.items()}
    found = ChosenBlend.of(card(**earlier), RECIPE, HISTORIES)
    assert found is not None
    assert found.counts == earlier


def test_a_card_of_other_settings_gives_none() -> None:
    older = card()
    recipe = dict(older["recipe"])  # type: ignore[call-overload]
    del recipe["new_share"]
    assert ChosenBlend.of({**older, "recipe": recipe}, RECIPE, HISTORIES) is None
    other = replace(RECIPE, text_weight=1.0)
    assert ChosenBlend.of(card(), other, HISTORIES) is None
    assert ChosenBlend.of({"recipe": RECIPE.as_card()}, RECIPE, HISTORIES) is None
    assert ChosenBlend.of({}, RECIPE, HISTORIES) is None


def test_past_what_is_solved_whole_it_is_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.recommend.chosen_blend.MOST_ITEMS_SOLVED", 32)
    assert ChosenBlend.of(card(items=33), RECIPE, HISTORIES) is None
