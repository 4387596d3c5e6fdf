"""Recipes: what is refused, and that a card gives the recipe again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.recommendation.recipe import RecommendRecipe
from shared.errors import SettingsError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "wrong",
    [
        {"past": 0},
        {"future": 0},
        {"tower_dimensions": 0},
        {"tower_epochs": -1},
        {"encoder_steps": -1},
        {"plain_share": 1.1},
        {"plain_share": float("nan")},
        {"gap_decay": 0.0},
        {"gap_decay": 1.5},
        {"regularisation": 0.0},
        {"regularisation": float("nan")},
        {"text_weight": -1.0},
        {"text_weight": float("inf")},
        {"meaning_share": -0.1},
        {"meaning_share": 1.1},
        {"new_share": -0.1},
        {"borrowed_share": float("inf")},
        {"tower_dropout": 1.0},
        {"tower_rate": 0.0},
        {"tower_rate": float("nan")},
        {"history_decays": ()},
        {"history_decays": (0.5, 1.5)},
        {"text_shares": ()},
        {"text_shares": (-0.1,)},
        {"popular_shares": (float("nan"),)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        RecommendRecipe(**wrong)
    with pytest.raises(SettingsError):
        RecommendRecipe.of(wrong)


def test_a_card_gives_the_recipe_again() -> None:
    recipe = RecommendRecipe(past=3, text_weight=0.5, history_decays=(0.4, 0.9))
    card = json.loads(json.dumps(recipe.as_card()))
    assert RecommendRecipe.of(card) == recipe


def test_texts_of_the_command_line_are_read_by_kind() -> None:
    read = RecommendRecipe.of({"past": "4", "text_weight": "5", "history_decays": "0.7"})
    assert read == RecommendRecipe(past=4, text_weight=5.0, history_decays=(0.7,))
    assert RecommendRecipe.of({"text_shares": ["0", "0.5"]}).text_shares == (0.0, 0.5)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"speed": "3"}, "no setting 'speed'"),
        ({"past": "two"}, "past cannot be 'two'"),
        ({"past": "2.5"}, "past cannot be '2.5'"),
        ({"history_decays": "slow"}, "history_decays cannot be"),
    ],
)
def test_names_and_values_that_do_not_fit_are_named(given: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        RecommendRecipe.of(given)
