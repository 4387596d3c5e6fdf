"""Fields of groups by their dotted names, methods that set some, and cards read back."""

from __future__ import annotations

import json

import pytest

from shared.errors import SettingsError
from shared.finetuning.methods import METHODS, Method
from shared.finetuning.recipe import (
    Recipe,
    fields_of_card,
    make_recipe,
    nested,
    with_method,
)
from shared.training_options import parse_fields

pytestmark = pytest.mark.unit


def test_a_field_of_a_group_is_set_by_its_dotted_name() -> None:
    recipe = make_recipe(**parse_fields(("lora.rank=8", "adversarial.kind=fgm", "epochs=2")))
    assert recipe.lora.rank == 8
    assert recipe.lora.alpha == Recipe().lora.alpha
    assert recipe.adversarial.kind == "fgm"
    assert recipe.epochs == 2


def test_a_group_may_be_given_as_a_whole_and_by_a_field() -> None:
    assert make_recipe(**{"lora": {"rank": 4}, "lora.alpha": 8.0}).lora.alpha == 8.0
    assert make_recipe(**{"lora.alpha": 8.0, "lora": {"rank": 4}}).lora.rank == 4
    with pytest.raises(SettingsError, match=r"lora is given as a whole and by lora\.rank"):
        make_recipe(**{"lora": "wide", "lora.rank": 4})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lora.rnak", "8"),
        ("lora.rank", "0"),
        ("lora.rank", "many"),
        ("nothing.rank", "8"),
        ("adversarial.kind", "furious"),
        ("epochs.rank", "8"),
        ("lora", "8"),
        ("", "8"),
        ("lora.", "8"),
    ],
)
def test_what_is_unknown_in_a_group_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match="recipe: ") as caught:
        make_recipe(**{name: value})
    assert name.partition(".")[0] in caught.value.message


def test_names_without_a_dot_stay_as_they_are() -> None:
    assert nested({"epochs": 2, "lora.rank": 8, "lora.alpha": 1.0}) == {
        "epochs": 2,
        "lora": {"rank": 8, "alpha": 1.0},
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_method_sets_its_fields_and_nothing_else(method: Method) -> None:
    made = with_method(Recipe(), method).model_dump()
    expected = Recipe().model_dump() | {"method": method}
    for name, value in nested(METHODS[method].fields).items():
        if isinstance(value, dict):
            expected[name] = {**expected[name], **value}
        else:
            expected[name] = value
    assert json.loads(json.dumps(made)) == json.loads(json.dumps(expected))


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("adversarial", {"adversarial.kind": "fgm"}),
        ("adversarial", {"adversarial.radius": 0.25}),
        ("augmented", {"augmentation.share": 0.9}),
        ("noise_robust", {"learning_rate": 1e-5}),
        ("distilled", {"distillation.seeds": 2}),
    ],
)
def test_fields_given_by_hand_win(method: Method, given: dict[str, object]) -> None:
    plain = with_method(Recipe(), method).model_dump()
    recipe = with_method(make_recipe(**given), method).model_dump()
    for name, value in nested(given).items():
        if isinstance(value, dict):
            plain[name] = {**plain[name], **value}
        else:
            plain[name] = value
    assert recipe == plain


def test_a_field_given_as_its_default_wins_too() -> None:
    recipe = with_method(make_recipe(**{"adversarial.kind": "none"}), "adversarial")
    assert recipe.adversarial.kind == "none"


def stored(recipe: Recipe) -> dict[str, object]:
    return json.loads(json.dumps(recipe.model_dump()))


@pytest.mark.parametrize("method", METHODS)
def test_the_recipe_of_a_card_is_made_again(method: Method) -> None:
    given = make_recipe(epochs=3, **{"lora.rank": 4, "freeze_at": (0.5,)})
    first = with_method(given, method)
    kept = fields_of_card(stored(first))
    again = with_method(make_recipe(**kept), method)
    assert again == first
    assert kept["epochs"] == 3
    assert kept["lora"] == {"rank": 4}
    assert not {"learning_rate", "contrastive"} & set(kept) - set(nested(METHODS[method].fields))


def test_another_method_sets_its_own_where_a_card_said_nothing() -> None:
    card = stored(with_method(make_recipe(epochs=3), "augmented"))
    fields = {**fields_of_card(card), "method": "adversarial"}
    recipe = with_method(make_recipe(**fields), "adversarial")
    assert recipe == with_method(make_recipe(epochs=3), "adversarial")


def test_fields_that_a_recipe_no_longer_has_are_left_out() -> None:
    card = {"epochs": 3, "forgotten": 1, "lora": {"rank": 4, "forgotten": 2}, "gone": {"a": 1}}
    assert fields_of_card(card) == {"epochs": 3, "lora": {"rank": 4}}
    assert fields_of_card({"method": "bygone", "epochs": 3})["epochs"] == 3


@pytest.mark.parametrize(
    ("written", "meant"), [("", ()), ("0.5", (0.5,)), ("0.3, 0.6", (0.3, 0.6)), ([0.2], (0.2,))]
)
def test_several_values_are_written_with_commas(written: object, meant: tuple[float, ...]) -> None:
    assert make_recipe(freeze_at=written).freeze_at == meant
    assert make_recipe(**{"distillation.teachers": "a/b"}).distillation.teachers == ("a/b",)
    with pytest.raises(SettingsError, match="freeze_at"):
        make_recipe(freeze_at="half")
