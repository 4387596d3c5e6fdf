"""The seven steps of fine-tuning a text classifier, each one function, in order.

    prepare_data -> choose_encoder -> adapt_to_task -> set_hyperparameters
                 -> train_model -> evaluate_model -> deploy

``train_text_classifier`` runs them all and ends in a registered version that nobody uses yet;
``models.promotion`` puts it in use.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.confidence import fit_confidence
from models.encoder_store import choose_encoder
from models.held_out import judge_held_out
from models.methods.continual import bank_examples, continuing, earlier_of, new_examples
from models.methods.task import FittingTask, class_numbers, in_scope
from models.methods.ways import adapt_to_task, train_model
from models.neighbours import nearest_neighbours
from models.registry import ModelRegistry, ModelVersion
from models.text_classifier import TextClassifier, TextPredictor, logits_of
from models.text_evaluation import Evaluation, evaluate_predictor
from models.text_predictor import as_stored
from models.training_plan import set_hyperparameters, with_choice
from models.version_content import card_of, learning_curves, summary_of, write_version
from shared.errors import SettingsError
from shared.evaluation.report import write_report
from shared.evaluation.selective import SelectiveThreshold, choose_threshold
from shared.finetuning.continual import Earlier, join_earlier
from shared.finetuning.footprint import FootprintMeter
from shared.finetuning.hardware import Hardware, choose_hardware
from shared.finetuning.loop import TrainingOutcome
from shared.finetuning.methods import METHODS
from shared.finetuning.optimisers import check_optimiser
from shared.finetuning.parallel import current_ranks
from shared.finetuning.progress import ProgressReporter
from shared.finetuning.recipe import Recipe, epochs_for
from shared.finetuning.splits import Shares, split_examples
from shared.privacy import mask_personal_data
from shared.process_memory import give_back_freed_memory
from shared.records import SPLIT_NAMES, Dataset, SplitName, Splits, fingerprint

MOST_FAMILIAR = 5_000
"""Training examples that tell how familiar texts are where no validation example does."""


@dataclass(frozen=True, slots=True)
class TrainedVersion:
    """The version, registered and not yet in use, and the summary that ``--json`` prints."""

    version: ModelVersion
    summary: dict[str, Any]


def train_text_classifier(
    dataset: Dataset,
    *,
    app: str,
    recipe: Recipe,
    encoder: str | None,
    registry: ModelRegistry,
    now: datetime,
    report: ProgressReporter,
    seed: int | None = None,
    assigned: Mapping[str, SplitName] | None = None,
    source: Mapping[str, Any] | str | None = None,
    device: str = "auto",
    resume: bool = False,
    workspace: Path | None = None,
    measured_by: Sequence[str] = (),
    shares: Shares | None = None,
    measured: Mapping[str, Any] | None = None,
    unlabelled: Sequence[str] = (),
    unlabelled_source: Mapping[str, Any] | str | None = None,
    base: TextPredictor | None = None,
    budget: float | None = None,
) -> TrainedVersion:
    """All seven steps, from a data set to a registered version.

    ``measured_by`` names details of the examples by whose values the test is broken down.
    ``measured`` are metrics that stand in the card where ``shares`` leave no test split: those of
    a cross-validation.

    ``assigned`` gives texts the split that an earlier version gave them. ``source`` is what
    reads the data again, kept in the card. Checkpoints are written below ``workspace`` (the
    registry's root by default); ``resume`` goes on from the one that fits. ``unlabelled`` are
    texts for the methods that use some; the card tells their number and ``unlabelled_source``.
    ``base`` is a version of this app in the registry: its examples join the new ones, each in
    the split that it had.
    """
    started = time.monotonic()
    recipe = recipe if seed is None else recipe.model_copy(update={"seed": seed})
    hardware = choose_hardware(device, recipe.precision)
    check_optimiser(recipe.optimiser, hardware)
    fewest = 1 if base is not None else 2
    splits = prepare_data(dataset, assigned=assigned, shares=shares, fewest=fewest)
    if base is not None:
        splits = join_earlier(splits, earlier_of(registry.get(app, base.version), base))
    report.say(_counted(splits))
    allowed = without_held_out(unlabelled, splits)
    if unlabelled:
        left_out = len(unlabelled) - len(allowed)
        report.say(f"{len(allowed):,} unlabelled texts; {left_out:,} repeated or labelled removed")
    prepared = time.monotonic()
    with FootprintMeter.start(hardware) as meter:
        fitted = fit_text_classifier(
            splits,
            recipe=recipe,
            encoder=encoder,
            hardware=hardware,
            report=report,
            descriptions=dataset.descriptions,
            unlabelled=allowed,
            base=base,
            budget=budget,
            checkpoints=(workspace or registry.root) / "checkpoints" / app,
            resume=resume,
        )
        rate = None if fitted.outcome is None else fitted.outcome.examples_per_second
        footprint = meter.finish(len(splits.train), rate)
    report.say(f"training: {footprint.line()}")
    trained = time.monotonic()
    evaluation = evaluate_model(fitted.predictor, splits, report, measured_by)
    card = card_of(
        app=app,
        dataset=dataset,
        splits=splits,
        recipe=fitted.recipe,
        reason=fitted.reason,
        predictor=fitted.predictor,
        threshold=fitted.threshold,
        metrics=measured if evaluation is None else evaluation.metrics,
        seconds={
            "prepare": prepared - started,
            "train": trained - prepared,
            "evaluate": time.monotonic() - trained,
        },
        hardware=hardware,
        source=source,
        unlabelled=(len(allowed), unlabelled_source) if unlabelled else None,
        outcome=fitted.outcome,
        footprint=footprint,
        facts=fitted.facts,
    )
    version = deploy(registry, app, fitted, splits, card, evaluation, now, report)
    return TrainedVersion(version, summary_of(version))


@dataclass(frozen=True, slots=True)
class FittedClassifier:
    """A classifier trained and calibrated, and how: the recipe with what ``auto`` stood for."""

    predictor: TextPredictor
    threshold: SelectiveThreshold
    recipe: Recipe
    reason: str
    outcome: TrainingOutcome | None
    facts: Mapping[str, Any]


def fit_text_classifier(
    splits: Splits,
    *,
    recipe: Recipe,
    encoder: str | None,
    hardware: Hardware,
    report: ProgressReporter,
    descriptions: Mapping[str, str],
    unlabelled: Sequence[str] = (),
    base: TextPredictor | None = None,
    budget: float | None = None,
    checkpoints: Path | None = None,
    resume: bool = False,
    goes_on: bool = False,
) -> FittedClassifier:
    """Steps 2 to 5 on splits that stand, calibration included; the test split is not looked at.

    ``unlabelled`` are texts for the methods that use some, ``base`` is what ``continual`` goes on
    from, ``budget`` the seconds that it may take by an estimate. In a group of processes all but
    the first end here by PartDone, unless another training ``goes_on`` after this one.
    """
    recipe = continuing(recipe, base)
    read = len(in_scope(splits.train))
    if base is not None:
        splits = join_earlier(splits, Earlier(bank_examples(base)))
        read = recipe.continual.replay * len(base.labels)
        read += len(new_examples(list(splits.train), base))
    epochs = recipe.epochs or epochs_for(read)
    choice = set_hyperparameters(
        recipe,
        splits,
        epochs=epochs,
        encoder=encoder,
        hardware=hardware,
        unlabelled=unlabelled,
        continued=base is not None,
        budget=budget,
        checkpoints=checkpoints,
        resume=resume,
    )
    recipe = with_choice(recipe, choice, epochs)
    report.say(f"method {choice.method}: {choice.reason}")
    needs = METHODS[recipe.method].needs_unlabelled or recipe.self_training.rounds
    if needs and not unlabelled:
        raise SettingsError(
            f"the method {recipe.method} learns from texts without labels, and there are none that "
            "do not stand in the labelled data: give some with --unlabelled SOURCE",
            method=recipe.method,
        )
    task = FittingTask(
        splits,
        recipe,
        hardware,
        report,
        encoder=encoder,
        descriptions=descriptions,
        unlabelled=tuple(unlabelled),
        base=base,
        checkpoints=checkpoints,
        resume=resume,
    )
    torch.manual_seed(recipe.seed)
    classifier = adapt_to_task(choose_encoder(encoder, recipe), task)
    fitted = train_model(classifier, task)
    if not goes_on:
        current_ranks().leave_rest_to_first()
    classifier, outcome = fitted.classifier, fitted.outcome
    give_back_freed_memory()
    predictor, chosen = calibrate(classifier, task)
    return FittedClassifier(predictor, chosen, recipe, choice.reason, outcome, fitted.facts)


def prepare_data(
    dataset: Dataset,
    *,
    assigned: Mapping[str, SplitName] | None = None,
    shares: Shares | None = None,
    fewest: int = 2,
) -> Splits:
    """Step 1: splits without duplicates across them, the same whatever the order or seed.

    Personal data is masked first, as it is in messages before they reach the model: training,
    serving and the texts that a version stores are then of one kind. SingleClass where there are
    not the ``fewest`` classes.
    """
    masked = tuple(replace(e, text=mask_personal_data(e.text)) for e in dataset.examples)
    prepared = replace(dataset, examples=masked)
    return split_examples(prepared, shares, assigned, fewest=fewest)


def without_held_out(texts: Sequence[str], splits: Splits) -> list[str]:
    """The texts, masked like all others, without repetitions and what stands in any split.

    Nor does a text come in of whose group an example stands in one: a headline as a whole is left
    out where it is held out with a company marked.
    """
    held = (example for name in SPLIT_NAMES for example in splits[name])
    seen = {key for example in held for key in (example.key, example.group_key)}
    kept = []
    for text in map(mask_personal_data, texts):
        key = fingerprint(text)
        if text.strip() and key not in seen:
            seen.add(key)
            kept.append(text)
    return kept


def calibrate(
    classifier: TextClassifier, task: FittingTask
) -> tuple[TextPredictor, SelectiveThreshold]:
    """Fit temperature and confidence, and choose the answer threshold, on validation alone.

    Out-of-scope texts of the training split join in where nothing was trained on them. Without a
    validation example nothing can be certified, and every message goes to a person.
    """
    classifier.eval()
    splits, recipe, report, labels = task.splits, task.recipe, task.report, task.labels
    known = task.training
    report.start("training examples again", len(known))
    vectors = as_stored(classifier.encoder.embed([e.text for e in known], report=report))
    report.finish()
    strays = task.strays
    judged = [*in_scope(splits.validation, labels), *strays]
    truth = np.concatenate(
        [class_numbers([e for e in judged if e.in_scope], labels), np.full(len(strays), -1)]
    ).astype(np.int64)
    if (truth >= 0).any():
        held_out = judge_held_out(
            classifier,
            [example.text for example in judged],
            truth,
            bank=vectors,
            bank_truth=class_numbers(known, labels),
        )
        confidence = held_out.confidence
        chosen = choose_threshold(held_out.sure, held_out.correct, target_error=recipe.target_error)
    else:
        some = slice(None, None, -(-len(known) // MOST_FAMILIAR) or 1)
        familiarity = nearest_neighbours(vectors[some], vectors).familiarity
        logits = logits_of(classifier, vectors[some])
        truth = class_numbers(known[some], labels)
        confidence, _ = fit_confidence(logits, familiarity, truth, votes=None)
        confidence = replace(confidence, temperature=1.0)
        chosen = SelectiveThreshold(1.01, recipe.target_error, 0.0, 0.0, 1.0, False)
    predictor = TextPredictor(
        "unregistered",
        {},
        classifier,
        labels,
        confidence,
        [(example.text, example.label) for example in known],
        vectors,
        chosen.threshold,
        recipe.target_error,
    )
    return predictor, chosen


def evaluate_model(
    predictor: TextPredictor,
    splits: Splits,
    report: ProgressReporter,
    measured_by: Sequence[str] = (),
) -> Evaluation | None:
    """Step 6: the test split, once; None when there is no test example."""
    return evaluate_predictor(predictor, splits.test, report=report, measured_by=measured_by)


def deploy(
    registry: ModelRegistry,
    app: str,
    fitted: FittedClassifier,
    splits: Splits,
    card: Mapping[str, Any],
    evaluation: Evaluation | None,
    now: datetime,
    report: ProgressReporter,
) -> ModelVersion:
    """Step 7: an immutable version with its card and report in the registry, not yet in use."""
    events = list(getattr(report, "events", []))

    def write(folder: Path) -> None:
        write_version(folder, fitted.predictor, splits, events)

    def describe(folder: Path, finished: Mapping[str, Any]) -> None:
        if evaluation is not None:
            curves = learning_curves(events)
            title = f"{app} {finished['version']}"
            labels = fitted.predictor.labels
            data = evaluation.report_data(title, finished, labels, curves, fitted.threshold)
            write_report(folder / "report.html", data)

    return registry.add(app, card=card, write=write, now=now, describe=describe)


def _counted(splits: Splits) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in splits.counts().items())
    removed = splits.removed_duplicates + splits.removed_conflicts
    tail = f"; {removed} repeated texts removed" if removed else ""
    return f"{len(splits.labels)} classes: {counts}{tail}"
