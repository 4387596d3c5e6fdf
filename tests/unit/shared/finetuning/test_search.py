"""The space of a search, its best trial, and the line that trains by it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import pytest

from shared.errors import SettingsError
from shared.finetuning.recipe import make_recipe, with_method
from shared.finetuning.search import (
    Score,
    SearchResult,
    SearchSpace,
    TrialRecord,
    train_command,
)

pytestmark = pytest.mark.unit


class Draws:
    """Takes the first or the last of what is offered, or what it was told."""

    def __init__(self, last: bool = False, **told: Any) -> None:
        self.last, self.told, self.asked = last, told, list[str]()

    def _take(self, name: str, low: Any, high: Any) -> Any:
        self.asked.append(name)
        return self.told.get(name, high if self.last else low)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._take(name, low, high))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self._take(name, low, high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._take(name, choices[0], choices[-1])


def test_the_head_draws_nothing_else() -> None:
    space = SearchSpace(make_recipe(), ("head", "full"), 4)
    draws = Draws()
    assert space.suggest(draws) == {"method": "head"}
    assert draws.asked == ["method"]


@pytest.mark.parametrize("last", [False, True])
def test_every_corner_of_the_space_is_a_recipe(last: bool) -> None:
    space = SearchSpace(make_recipe(), ("full",), 4)
    fields = space.suggest(Draws(last))
    recipe = make_recipe(**fields)
    assert recipe.learning_rate == pytest.approx(1e-3 if last else 4e-5)
    assert fields["epochs"] == (8 if last else 2)
    assert fields["batch_size"] == (128 if last else 16)


def test_what_was_given_by_hand_does_not_vary() -> None:
    space = SearchSpace(make_recipe(learning_rate=3e-4, epochs=2, dropout=0.2), ("full",), 2)
    assert set(space.suggest(Draws())) == {"method", "head_learning_rate", "batch_size"}


def test_starting_points_are_the_methods_as_they_come() -> None:
    space = SearchSpace(make_recipe(), ("full", "head"), 4)
    first, second = space.starting_points()
    assert first == {"method": "head"}
    fields = space.suggest(Draws(**second))
    usual = with_method(make_recipe(), "full")
    assert fields["learning_rate"] == usual.learning_rate
    assert fields["head_learning_rate"] == usual.head_learning_rate
    assert (fields["batch_size"], fields["epochs"]) == (usual.batch_size, 4)
    assert fields["dropout"] == pytest.approx(usual.dropout)


@pytest.mark.parametrize("methods", [(), ("continual",), ("self_training",), ("nonsense",)])
def test_methods_that_cannot_be_tried_are_refused(methods: tuple[Any, ...]) -> None:
    with pytest.raises(SettingsError, match=r"method"):
        SearchSpace(make_recipe(), methods, 4)


def trial(number: int, accuracy: float | None, loss: float = 1.0, **more: Any) -> TrialRecord:
    score = None if accuracy is None else Score(accuracy, loss)
    state = "done" if score else "pruned"
    return TrialRecord(number, state, {"method": "full"}, score, **more)  # type: ignore[arg-type]


def test_the_best_is_the_most_accurate_then_the_likeliest() -> None:
    trials = (trial(0, 0.8), trial(1, 0.9, 0.5), trial(2, 0.9, 0.4), trial(3, None, curve=(0.99,)))
    result = SearchResult(trials, 1.0)
    assert result.best is trials[2]
    assert result.counts() == {"done": 3, "pruned": 1, "failed": 0}
    assert SearchResult((trials[3],), 1.0).best is None


def test_the_command_names_all_that_varies() -> None:
    fields = {"method": "full", "learning_rate": 2.1e-4, "epochs": 6, "freeze_at": (0.5, 1 / 3)}
    line = train_command("support", ["--data", "my file.csv", "--seed", "3"], fields)
    assert shlex.split(line) == [
        "triptych", "train", "support", "--data", "my file.csv", "--seed", "3",
        "--method", "full", "--set", "learning_rate=0.00021", "--set", "epochs=6",
        "--set", "freeze_at=0.5,0.333333",
    ]  # fmt: skip
