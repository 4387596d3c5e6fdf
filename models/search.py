"""The search for a recipe, run: Optuna draws and ends trials, the validation split scores them.

    SearchSpace -> run_search(TrainAndScore) -> SearchResult

The gate and test splits are taken away before the first trial. A search that was broken off goes on
from its journal as if it had never stopped: trials that had not ended are done again, and what is
drawn next follows from the seed and from the trials that ended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from models.encoder_store import choose_encoder
from models.held_out import judge_held_out
from models.methods.task import FittingTask, in_scope
from models.methods.ways import adapt_to_task, train_model
from models.text_predictor import as_stored
from shared.errors import DataError, SettingsError, TriptychError
from shared.evaluation.calibration import negative_log_likelihood
from shared.finetuning.budget import spoken
from shared.finetuning.hardware import Hardware
from shared.finetuning.progress import ProgressReporter
from shared.finetuning.recipe import Recipe, epochs_for, make_recipe, with_method
from shared.finetuning.search import (
    REDUCTION,
    Objective,
    Score,
    SearchResult,
    SearchSpace,
    TrialRecord,
    Watch,
)
from shared.records import Splits

if TYPE_CHECKING:
    import optuna

STUDY = "triptych"
RANDOM_TRIALS = 6
"""Trials before the sampler learns from those that ended."""

REPEATS = 25
"""Recipes in a row that were tried before, after which nothing new is left to try."""


class TrialEnded(Exception):
    """The trial is behind its peers."""


class TimeIsUp(Exception):
    """The budget ended in the middle of a trial."""


@dataclass(frozen=True, slots=True)
class TrainAndScore:
    """Trains on the training split and scores on validation; other splits are not in ``splits``."""

    splits: Splits
    base: Recipe
    hardware: Hardware
    report: ProgressReporter
    encoder: str | None = None
    descriptions: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls,
        splits: Splits,
        base: Recipe,
        hardware: Hardware,
        report: ProgressReporter,
        *,
        encoder: str | None = None,
        descriptions: Mapping[str, str] | None = None,
    ) -> TrainAndScore:
        """Without gate and test. DataError where there is no validation example of a class."""
        if not in_scope(splits.validation, splits.labels):
            raise DataError("no validation example is left to score a recipe on: give more data")
        seen = replace(splits, gate=(), test=())
        return cls(seen, base, hardware, report, encoder, descriptions)

    def __call__(self, fields: Mapping[str, Any], watch: Watch) -> Score:
        """Accuracy on validation as the version would have it, with its neighbours' votes, and the
        likelihood of the labels by its calibrated probabilities."""
        given = self.base.model_dump(exclude_unset=True)
        recipe = with_method(make_recipe(**{**given, **fields}), fields["method"])
        epochs = recipe.epochs or epochs_for(len(in_scope(self.splits.train)))
        recipe = recipe.model_copy(update={"epochs": epochs})
        task = FittingTask(
            self.splits,
            recipe,
            self.hardware,
            _TrialProgress(self.report, watch),
            encoder=self.encoder,
            descriptions=dict(self.descriptions or {}),
        )
        torch.manual_seed(recipe.seed)
        encoder = choose_encoder(self.encoder, recipe)
        classifier = train_model(adapt_to_task(encoder, task), task).classifier.eval()
        known = task.training
        texts = [example.text for example in known]
        held_out = judge_held_out(
            classifier,
            [example.text for example in task.validation],
            task.numbers(task.validation),
            bank=as_stored(classifier.encoder.embed(texts, hardware=self.hardware)),
            bank_truth=task.numbers(known),
            hardware=self.hardware,
        )
        loss = negative_log_likelihood(held_out.probabilities, held_out.truth)
        return Score(float(held_out.correct.mean()), float(loss))


class _TrialProgress:
    """A training's progress inside the search's bar; validations go to the watch."""

    def __init__(self, outer: ProgressReporter, watch: Watch) -> None:
        self._outer, self._watch, self._epochs = outer, watch, 0

    def say(self, message: str) -> None:
        """Nothing: a search has too many trainings for it."""

    def start(self, title: str, total: int, done: int = 0, unit: str = "text") -> None:
        """Nothing: the search has one bar."""

    def advance(self, count: int, **figures: float) -> None:
        """The search's bar shows time."""
        self._outer.advance(0, **figures)

    def finish(self) -> None:
        """Nothing: the search has one bar."""

    def log(self, **event: Any) -> None:
        """Hand a validation to the watch."""
        if event.get("event") == "validation":
            self._epochs += 1
            self._watch(self._epochs, float(event["accuracy"]))


class TimeBar:
    """A bar of seconds: every sign of life moves it on, and past the deadline it raises TimeIsUp.

    ``armed`` says whether it may: not before one trial is done.
    """

    def __init__(
        self, outer: ProgressReporter, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._outer, self._clock, self.seconds = outer, clock, seconds
        self._started, self._shown, self.armed = clock(), 0, False
        self._figures: dict[str, float] = {}
        outer.start("search", max(1, round(seconds)), unit="s")

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return self._clock() - self._started

    def advance(self, count: int, **figures: float) -> None:
        """Show the time and the figures."""
        self._figures |= figures
        whole = min(int(self.elapsed), max(1, round(self.seconds)))
        self._outer.advance(whole - self._shown, **self._figures)
        self._shown = whole
        if self.armed and self.elapsed > self.seconds:
            raise TimeIsUp

    def say(self, message: str) -> None:
        """Write the line."""
        self._outer.say(message)

    def start(self, title: str, total: int, done: int = 0, unit: str = "text") -> None:
        """The bar is open."""

    def finish(self) -> None:
        """Close the bar."""
        self._outer.finish()

    def log(self, **event: Any) -> None:
        """Hand the event on."""
        self._outer.log(**event)


def run_search(
    objective: Objective,
    space: SearchSpace,
    *,
    journal: Path,
    identity: str,
    seed: int,
    bar: TimeBar,
    resume: bool = False,
    most_trials: int | None = None,
) -> SearchResult:
    """Trials until the bar's time is up, ``most_trials`` have ended, or nothing new is drawn.

    With ``resume`` it goes on from ``journal``; SettingsError where that belongs to another
    ``identity`` (data, encoder, recipe, methods, seed). One trial is done whatever the time.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, resumed = _open_study(journal, identity, space, resume)
    known = {_key(t.user_attrs["fields"]): t for t in study.trials if "fields" in t.user_attrs}
    repeats = 0
    bar.armed = any(t.state.name == "COMPLETE" for t in study.trials)
    while True:
        ended = sum(t.state.is_finished() for t in study.trials)
        over = bar.armed and bar.elapsed > bar.seconds
        enough = most_trials is not None and len(records_of(study)) >= most_trials
        if over or enough or repeats > REPEATS:
            break
        study.sampler = optuna.samplers.TPESampler(
            seed=(seed * 1_000_003 + ended) % 2**32, n_startup_trials=RANDOM_TRIALS
        )
        trial = study.ask()
        fields = space.suggest(trial)
        trial.set_user_attr("fields", fields)
        before = known.get(_key(fields))
        if before is not None:
            repeats += 1
            _tell_again(study, trial, before)
            continue
        repeats = 0
        if not _run_trial(study, trial, objective, fields, bar):
            break
        known[_key(fields)] = study.trials[trial.number]
        done = [t.value for t in study.trials if t.value is not None and t.state.name == "COMPLETE"]
        bar.armed = bool(done)
        bar.say(_spoken(study.trials[trial.number], fields, max(done, default=0.0)))
    bar.finish()
    return SearchResult(records_of(study), bar.elapsed, resumed)


def records_of(study: optuna.Study) -> tuple[TrialRecord, ...]:
    """The trials that ended, repetitions of a recipe left out."""
    states: dict[str, Any] = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed"}
    records = []
    for trial in study.trials:
        attributes = trial.user_attrs
        if trial.state.name not in states or "again" in attributes or "seconds" not in attributes:
            continue
        score = None
        if trial.state.name == "COMPLETE" and trial.value is not None:
            score = Score(trial.value, float(attributes["loss"]))
        curve = tuple(value for _, value in sorted(trial.intermediate_values.items()))
        records.append(
            TrialRecord(
                trial.number,
                states[trial.state.name],
                attributes["fields"],
                score,
                curve,
                float(attributes["seconds"]),
                attributes.get("error", ""),
            )
        )
    return tuple(records)


def _run_trial(
    study: optuna.Study,
    trial: optuna.Trial,
    objective: Objective,
    fields: Mapping[str, Any],
    bar: TimeBar,
) -> bool:
    """Train and tell the study; False where the time ended first."""
    from optuna.trial import TrialState

    def watch(epoch: int, accuracy: float) -> None:
        trial.report(accuracy, epoch)
        bar.advance(0, trial=trial.number, accuracy=accuracy)
        if trial.should_prune():
            raise TrialEnded

    started = bar.elapsed
    try:
        score = objective(fields, watch)
    except TrialEnded:
        trial.set_user_attr("seconds", bar.elapsed - started)
        study.tell(trial, state=TrialState.PRUNED)
    except TimeIsUp:
        study.tell(trial, state=TrialState.FAIL)
        return False
    except TriptychError as error:
        trial.set_user_attr("seconds", bar.elapsed - started)
        trial.set_user_attr("error", error.message)
        study.tell(trial, state=TrialState.FAIL)
    else:
        trial.set_user_attr("seconds", bar.elapsed - started)
        trial.set_user_attr("loss", score.loss)
        study.tell(trial, score.accuracy)
    return True


def _tell_again(study: optuna.Study, trial: optuna.Trial, before: optuna.trial.FrozenTrial) -> None:
    """A recipe that was tried already ends as it did then, and nothing is trained."""
    trial.set_user_attr("again", before.number)
    if before.state.name == "COMPLETE":
        study.tell(trial, before.value)
    else:
        for epoch, value in before.intermediate_values.items():
            trial.report(value, epoch)
        study.tell(trial, state=before.state)


def _open_study(
    journal: Path, identity: str, space: SearchSpace, resume: bool
) -> tuple[optuna.Study, int]:
    """The study and how many recipes were tried; trials that had not ended are drawn first.

    What ended is copied into a journal of its own, so that a broken trial leaves no trace in the
    comparison of its peers.
    """
    from optuna.trial import TrialState

    ended: list[optuna.trial.FrozenTrial] = []
    open_points: list[dict[str, Any]] = []
    if resume and journal.is_file():
        old = _study_in(journal)
        if old.user_attrs.get("identity") != identity:
            raise SettingsError(
                "the search to resume was of other data, encoder, recipe, methods or seed: start "
                "anew without --resume",
                journal=str(journal),
            )
        for trial in old.trials:
            over = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            if over or {"error", "again"} & set(trial.user_attrs):
                ended.append(trial)
            else:
                open_points.append(trial.params or trial.system_attrs.get("fixed_params", {}))
    else:
        open_points = space.starting_points()
    fresh = journal.with_suffix(".new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.unlink(missing_ok=True)
    study = _study_in(fresh)
    study.set_user_attr("identity", identity)
    study.add_trials(ended)
    for point in open_points:
        if point:
            study.enqueue_trial(point)
    os.replace(fresh, journal)
    study = _study_in(journal)
    return study, len(records_of(study))


def _study_in(journal: Path) -> optuna.Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return optuna.create_study(
        study_name=STUDY,
        storage=JournalStorage(JournalFileBackend(str(journal))),
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.SuccessiveHalvingPruner(
            min_resource=1, reduction_factor=REDUCTION, min_early_stopping_rate=0
        ),
    )


def _key(fields: Mapping[str, Any]) -> str:
    return repr(sorted(fields.items()))


def _spoken(trial: optuna.trial.FrozenTrial, fields: Mapping[str, Any], best: float) -> str:
    what = ", ".join(f"{name} {value}" for name, value in fields.items())
    took = spoken(trial.user_attrs["seconds"])
    if trial.state.name == "COMPLETE":
        return f"trial {trial.number}: {trial.value:.4f} (best {best:.4f}) in {took}: {what}"
    if trial.state.name == "PRUNED":
        epochs = len(trial.intermediate_values)
        return f"trial {trial.number}: ended after epoch {epochs} in {took}: {what}"
    return f"trial {trial.number}: failed, {trial.user_attrs.get('error', '')}: {what}"
