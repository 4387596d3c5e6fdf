"""Search for a recipe: what may vary, what a trial is, and what comes out. Nothing is trained here.

Each trial is a recipe, scored on validation only. Trials that do worse than their peers after 1, 3,
9, ... epochs end there (asynchronous successive halving: Jamieson and Talwalkar, "Non-stochastic
best arm identification and hyperparameter optimization", 2016; Li et al., "A system for massively
parallel hyperparameter tuning", 2020, arXiv:1810.05934). ``models.search`` runs it by Optuna.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from shared.errors import SettingsError
from shared.finetuning.methods import METHODS, Method
from shared.finetuning.recipe import Recipe, with_method

REDUCTION: Final = 3
"""Of trials that got as far as an epoch of 1, 3, 9, ..., one in so many goes on."""

FACTOR: Final = 5.0
"""Learning rates are searched between a method's own divided and multiplied by this."""

BATCH_SIZES: Final = (16, 32, 64, 128)
MOST_DROPOUT: Final = 0.3
USUAL_METHODS: Final[tuple[Method, ...]] = ("head", "full", "lora", "augmented")
"""Methods that are tried where none are named, those of them that there are."""


class Suggests(Protocol):
    """Draws a value by name; ``optuna.Trial`` is one."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = ..., log: bool = ...
    ) -> float:
        """A number of [low, high]."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = ...) -> int:
        """A whole number of [low, high]."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """On validation: ``accuracy`` in [0, 1]; ``loss``, the mean of -log p, breaks ties."""

    accuracy: float
    loss: float


class Watch(Protocol):
    """Is told a trial's validation accuracy after each epoch, and raises where it must end."""

    def __call__(self, epoch: int, accuracy: float) -> None:
        """``epoch`` counts from 1."""
        ...


class Objective(Protocol):
    """Trains by these fields of a recipe and scores the outcome on validation."""

    def __call__(self, fields: Mapping[str, Any], watch: Watch) -> Score:
        """The score; what ``watch`` raises goes through."""
        ...


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Methods, and around the recipe's own values: rates, epochs, batch, dropout.

    ``base`` holds what was given by hand: such a field does not vary. ``epochs`` is the number that
    a training has by itself. SettingsError where no method is left to try.
    """

    base: Recipe
    methods: tuple[Method, ...]
    epochs: float

    def __post_init__(self) -> None:
        if not self.methods:
            raise SettingsError("there is no method to search among: name some with --method")
        for method in self.methods:
            description = METHODS.get(method)
            if description is None or description.needs_unlabelled or description.needs_version:
                raise SettingsError(
                    f"the method {method!r} cannot be searched: it needs more than labelled "
                    "examples, or there is no such method",
                    method=method,
                )

    def suggest(self, trial: Suggests) -> dict[str, Any]:
        """Fields of one recipe, ``method`` among them; those that the method heeds."""
        method: Method = trial.suggest_categorical("method", list(self.methods))
        if METHODS[method].way in ("zero_shot", "head"):
            return {"method": method}
        own = with_method(self.base, method)
        fixed = self.base.model_fields_set
        fields: dict[str, Any] = {"method": method}
        for name in ("learning_rate", "head_learning_rate"):
            if name not in fixed:
                factor = trial.suggest_float(f"{name}_factor", 1 / FACTOR, FACTOR, log=True)
                fields[name] = float(f"{getattr(own, name) * factor:.2g}")
        if "epochs" not in fixed:
            least, most = max(1, round(self.epochs / 2)), max(2, round(2 * self.epochs))
            fields["epochs"] = trial.suggest_int("epochs", least, most, log=True)
        if "batch_size" not in fixed:
            sizes = sorted({*BATCH_SIZES, self.base.batch_size})
            fields["batch_size"] = trial.suggest_categorical("batch_size", sizes)
        if "dropout" not in fixed:
            fields["dropout"] = trial.suggest_float("dropout", 0.0, MOST_DROPOUT, step=0.05)
        return fields

    def starting_points(self) -> list[dict[str, Any]]:
        """What is tried first: the head, in seconds, then each other method as it comes."""
        points = []
        for method in sorted(self.methods, key=lambda name: METHODS[name].way != "head"):
            point: dict[str, Any] = {"method": method}
            if METHODS[method].way not in ("zero_shot", "head"):
                point |= {
                    "learning_rate_factor": 1.0, "head_learning_rate_factor": 1.0,
                    "epochs": max(1, round(self.epochs)), "batch_size": self.base.batch_size,
                    "dropout": min(MOST_DROPOUT, round(self.base.dropout / 0.05) * 0.05),
                }  # fmt: skip
            points.append(point)
        return points


State = Literal["done", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One recipe that was tried.

    ``score`` is None unless it is ``done``; ``curve`` holds validation accuracies after epoch 1, 2,
    ...; ``error`` says why it failed.
    """

    number: int
    state: State
    fields: Mapping[str, Any]
    score: Score | None
    curve: tuple[float, ...] = ()
    seconds: float = 0.0
    error: str = ""

    @property
    def accuracy(self) -> float | None:
        """The final accuracy, or the last one before the trial was ended."""
        return self.score.accuracy if self.score else (self.curve[-1] if self.curve else None)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All trials in order; ``seconds`` are those of this run, ``resumed`` trials were there."""

    trials: tuple[TrialRecord, ...]
    seconds: float
    resumed: int = 0

    @property
    def best(self) -> TrialRecord | None:
        """The most accurate of those that are done; of equals the one with the lower loss."""
        done = [trial for trial in self.trials if trial.score]
        return min(done, key=_rank, default=None)

    def counts(self) -> dict[State, int]:
        """Trials by how they ended."""
        states: tuple[State, ...] = ("done", "pruned", "failed")
        return {state: sum(trial.state == state for trial in self.trials) for state in states}


def _rank(trial: TrialRecord) -> tuple[float, float, int]:
    assert trial.score is not None
    return -trial.score.accuracy, trial.score.loss, trial.number


def train_command(app: str, words: Sequence[str], fields: Mapping[str, Any]) -> str:
    """The line that trains by these fields: ``triptych train support ... --set epochs=6``.

    ``words`` are the options that name data, encoder and seed.
    """
    line = ["triptych", "train", app, *words, "--method", str(fields["method"])]
    for name, value in fields.items():
        if name != "method":
            parts = value if isinstance(value, list | tuple) else [value]
            written = (f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
            line += ["--set", f"{name}={','.join(written)}"]
    return shlex.join(line)
