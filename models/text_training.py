"""The seven steps of fine-tuning a text classifier, each one function, in order.

    prepare_data -> choose_encoder -> adapt_to_task -> set_hyperparameters
                 -> train_model -> evaluate_model -> deploy

``train_text_classifier`` runs them all and ends in a registered version that nobody uses yet;
``models.promotion`` puts it in use.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.confidence import NEIGHBOURS, fit_confidence
from models.encoder import TextEncoder
from models.registry import ModelRegistry, ModelVersion
from models.text_classifier import ClassificationHead, TextClassifier, TextPredictor, forward
from models.text_evaluation import Evaluation, evaluate_predictor
from models.version_content import card_of, learning_curves, summary_of, write_version
from shared.evaluation.open_set import neighbour_similarity
from shared.evaluation.report import write_report
from shared.evaluation.selective import SelectiveThreshold, choose_threshold
from shared.finetuning.hardware import Hardware, choose_hardware
from shared.finetuning.linear_head import LinearHead, choose_linear_head, fit_linear_head
from shared.finetuning.loop import LabelledTokens, TrainingOutcome, train
from shared.finetuning.method_choice import MethodChoice, choose_method
from shared.finetuning.progress import ProgressReporter
from shared.finetuning.recipe import Recipe, epochs_for
from shared.finetuning.splits import Shares, split_examples
from shared.finetuning.zero_shot import SCALE, class_vectors
from shared.privacy import mask_personal_data
from shared.records import Dataset, Example, SplitName, Splits, class_counts


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
) -> TrainedVersion:
    """All seven steps, from a data set to a registered version.

    ``measured_by`` names details of the examples by whose values the test is broken down.
    ``measured`` are metrics that stand in the card where ``shares`` leave no test split: those of
    a cross-validation.

    ``assigned`` gives texts the split that an earlier version gave them. ``source`` is what
    reads the data again, kept in the card. Checkpoints are written below ``workspace`` (the
    registry's root by default); ``resume`` goes on from the one that fits.
    """
    started = time.monotonic()
    recipe = recipe if seed is None else recipe.model_copy(update={"seed": seed})
    hardware = choose_hardware(device, recipe.precision)
    splits = prepare_data(dataset, assigned=assigned, shares=shares)
    report.say(_counted(splits))
    prepared = time.monotonic()
    fitted = fit_text_classifier(
        splits,
        recipe=recipe,
        encoder=encoder,
        hardware=hardware,
        report=report,
        descriptions=dataset.descriptions,
        checkpoints=(workspace or registry.root) / "checkpoints" / app,
        resume=resume,
    )
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
        outcome=fitted.outcome,
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


def fit_text_classifier(
    splits: Splits,
    *,
    recipe: Recipe,
    encoder: str | None,
    hardware: Hardware,
    report: ProgressReporter,
    descriptions: Mapping[str, str],
    checkpoints: Path | None = None,
    resume: bool = False,
) -> FittedClassifier:
    """Steps 2 to 5 on splits that stand, calibration included; the test split is not looked at."""
    base = choose_encoder(encoder, recipe)
    choice = set_hyperparameters(recipe, splits)
    epochs = recipe.epochs or epochs_for(len(in_scope(splits.train)))
    recipe = recipe.model_copy(update={"method": choice.method, "epochs": epochs})
    report.say(f"method {choice.method}: {choice.reason}")
    torch.manual_seed(recipe.seed)
    classifier = adapt_to_task(base, splits, recipe, hardware, report, descriptions=descriptions)
    outcome = train_model(
        classifier, splits, recipe, hardware, report, checkpoints=checkpoints, resume=resume
    )
    predictor, chosen = calibrate(classifier, splits, recipe, report)
    return FittedClassifier(predictor, chosen, recipe, choice.reason, outcome)


def prepare_data(
    dataset: Dataset,
    *,
    assigned: Mapping[str, SplitName] | None = None,
    shares: Shares | None = None,
) -> Splits:
    """Step 1: splits without duplicates across them, the same whatever the order or seed.

    Personal data is masked first, as it is in messages before they reach the model: training,
    serving and the texts that a version stores are then of one kind.
    """
    masked = tuple(replace(e, text=mask_personal_data(e.text)) for e in dataset.examples)
    return split_examples(replace(dataset, examples=masked), shares, assigned)


def choose_encoder(name: str | None, recipe: Recipe) -> TextEncoder:
    """Step 2: the pre-trained model, its weights checked."""
    encoder = TextEncoder.load(name, max_length=recipe.max_length)
    if recipe.marked_spans:
        encoder.pool_marked_spans()
    return encoder


def set_hyperparameters(recipe: Recipe, splits: Splits) -> MethodChoice:
    """Step 4: what ``auto`` stands for, with the reason; all other fields are in the recipe."""
    return choose_method(recipe.method, class_counts(splits.train), len(splits.labels))


def adapt_to_task(
    encoder: TextEncoder,
    splits: Splits,
    recipe: Recipe,
    hardware: Hardware,
    report: ProgressReporter,
    *,
    descriptions: Mapping[str, str],
) -> TextClassifier:
    """Step 3: a head for these classes, fitted on the frozen encoder (or on their names alone)."""
    encoder.to(hardware.device)
    labels = splits.labels
    if recipe.method == "zero_shot":
        weight = class_vectors(labels, encoder.embed, descriptions=descriptions)
        bias = np.zeros(len(labels), dtype=np.float32)
        return _classifier(encoder, weight, bias, scale=SCALE, cosine=True)
    examples = in_scope(splits.train)
    report.start("embedding", len(examples))
    vectors = encoder.embed([e.text for e in examples], hardware=hardware, report=report)
    report.finish()
    truth = class_numbers(examples, labels)
    balanced = recipe.class_weights == "balanced"
    if recipe.method == "head":
        held_out = in_scope(splits.validation, labels)
        head = choose_linear_head(
            vectors,
            truth,
            encoder.embed([e.text for e in held_out], hardware=hardware),
            class_numbers(held_out, labels),
            classes=len(labels),
            balanced=balanced,
        )
        return _classifier(encoder, head.weight, head.bias, scale=1.0, cosine=False)
    warm: LinearHead = fit_linear_head(
        vectors,
        truth,
        classes=len(labels),
        regularisation=recipe.head_regularisation,
        balanced=balanced,
    )
    weight = warm.weight / np.linalg.norm(warm.weight, axis=1, keepdims=True)
    bias = np.zeros(len(labels), dtype=np.float32)
    return _classifier(encoder, weight, bias, scale=recipe.head_scale, cosine=True)


def train_model(
    classifier: TextClassifier,
    splits: Splits,
    recipe: Recipe,
    hardware: Hardware,
    report: ProgressReporter,
    *,
    checkpoints: Path | None = None,
    resume: bool = False,
) -> TrainingOutcome | None:
    """Step 5: the whole network by the recipe; ``head`` and ``zero_shot`` are done already."""
    if recipe.method != "full":
        return None
    labels = splits.labels
    encoder = classifier.encoder
    encoder.set_dropout(recipe.dropout, recipe.attention_dropout)

    def tokens(examples: Sequence[Example]) -> LabelledTokens:
        texts = encoder.tokenise([example.text for example in examples])
        return LabelledTokens(texts, class_numbers(examples, labels))

    held_out = in_scope(splits.validation, labels)
    return train(
        classifier,
        tokens(in_scope(splits.train)),
        tokens(held_out) if held_out else None,
        classes=len(labels),
        recipe=recipe,
        hardware=hardware,
        report=report,
        checkpoints=checkpoints,
        identity=_identity(splits, recipe, encoder.name),
        resume=resume,
    )


def calibrate(
    classifier: TextClassifier, splits: Splits, recipe: Recipe, report: ProgressReporter
) -> tuple[TextPredictor, SelectiveThreshold]:
    """Fit temperature and confidence, and choose the answer threshold, on validation alone.

    Out-of-scope texts of the training split join in: nothing was trained on them. Without a
    validation example nothing can be certified, and every message goes to a person.
    """
    classifier.eval()
    labels = splits.labels
    known = in_scope(splits.train)
    report.start("training examples again", len(known))
    vectors, logits = forward(classifier, [e.text for e in known], report=report)
    report.finish()
    strays = [e for e in (*splits.train, *splits.validation) if not e.in_scope]
    judged = [*in_scope(splits.validation, labels), *strays]
    truth = np.concatenate(
        [class_numbers([e for e in judged if e.in_scope], labels), np.full(len(strays), -1)]
    ).astype(np.int64)
    if (truth >= 0).any():
        held_vectors, held_logits = forward(classifier, [e.text for e in judged])
        similarity = neighbour_similarity(held_vectors, vectors, NEIGHBOURS)
        confidence, sure = fit_confidence(held_logits, similarity, truth)
        correct = held_logits.argmax(axis=1) == truth
        chosen = choose_threshold(sure, correct, target_error=recipe.target_error)
    else:
        similarity = neighbour_similarity(vectors, vectors, NEIGHBOURS)
        confidence, _ = fit_confidence(logits, similarity, class_numbers(known, labels))
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


def in_scope(examples: Sequence[Example], labels: Sequence[str] | None = None) -> list[Example]:
    """The examples of a class; with ``labels`` only of those classes."""
    allowed = None if labels is None else set(labels)
    return [e for e in examples if e.in_scope and (allowed is None or e.label in allowed)]


def class_numbers(examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.int64]:
    """The number of each example's class in ``labels``, int64[n]."""
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[example.label] for example in examples], dtype=np.int64)


def _classifier(
    encoder: TextEncoder,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    *,
    scale: float,
    cosine: bool,
) -> TextClassifier:
    head = ClassificationHead(torch.from_numpy(weight), torch.from_numpy(bias), scale, cosine)
    classifier = TextClassifier(encoder, head)
    return classifier.to(next(encoder.parameters()).device)


def _identity(splits: Splits, recipe: Recipe, encoder: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for example in splits.train:
        digest.update(f"{example.key}\x00{example.label}\n".encode())
    settings = recipe.model_dump(exclude={"checkpoint_seconds", "target_error"})
    digest.update(json.dumps([settings, encoder], sort_keys=True).encode())
    return digest.hexdigest()


def _counted(splits: Splits) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in splits.counts().items())
    removed = splits.removed_duplicates + splits.removed_conflicts
    tail = f"; {removed} repeated texts removed" if removed else ""
    return f"{len(splits.labels)} classes: {counts}{tail}"
