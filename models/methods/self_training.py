"""Self-training of a text classifier: a teacher labels, and a student starts anew."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.confidence import fit_confidence
from models.encoder import TextEncoder
from models.methods.supervised import adapt_warm, train_supervised
from models.methods.task import FittedModule, FittingTask, class_numbers
from models.text_classifier import TextClassifier, forward
from shared.errors import SettingsError, TrainingError
from shared.evaluation.calibration import softmax
from shared.evaluation.open_set import neighbour_similarity
from shared.finetuning.checkpoint import (
    Checkpoint,
    load_checkpoint,
    remove_checkpoint,
    save_checkpoint,
)
from shared.finetuning.distillation import check_answers
from shared.finetuning.label_propagation import neighbour_graph, propagate
from shared.finetuning.linear_head import fit_linear_head
from shared.finetuning.objectives import class_weights
from shared.finetuning.self_training import (
    Selected,
    SoftLabels,
    familiar_texts,
    matching_temperature,
    repetitions,
    select,
)
from shared.records import Example

ENOUGH = 50
"""Validation texts from which the teacher is calibrated on them."""

_FOLDS = 5
_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Labelling:
    """What a teacher says of the unlabelled texts: probabilities [n, k], and how sure it is [n]."""

    probabilities: NDArray[np.float64]
    sure: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PretrainedVectors:
    """The task's texts by the encoder before its training: float32 [n, dimensions] each."""

    known: NDArray[np.float32]
    judged: NDArray[np.float32]
    unlabelled: NDArray[np.float32]

    @classmethod
    def of(cls, encoder: TextEncoder, task: FittingTask) -> PretrainedVectors:
        """Embed labelled, judged and unlabelled texts, each once."""
        parts = ([e.text for e in task.training], _judged_texts(task), list(task.unlabelled))
        task.report.start("reading all texts", sum(map(len, parts)))
        known, judged, unlabelled = (
            encoder.embed(texts, hardware=task.hardware, report=task.report) for texts in parts
        )
        task.report.finish()
        return cls(known, judged, unlabelled)

    @property
    def all(self) -> NDArray[np.float32]:
        """Those of all texts, labelled first and unlabelled last."""
        return np.concatenate([self.known, self.judged, self.unlabelled])

    def familiar(self, task: FittingTask) -> NDArray[np.bool_]:
        """Which unlabelled texts are near a labelled one."""
        bank = self.known
        # Of two neighbours of a labelled text one is the text itself, at a cosine of 1.
        others = 2 * neighbour_similarity(bank, bank, 2) - 1 if len(bank) > 1 else np.zeros(1)
        near = neighbour_similarity(self.unlabelled, bank, 1)
        return familiar_texts(others, near, task.recipe.self_training)


def self_train(classifier: TextClassifier, task: FittingTask) -> FittedModule:
    """Train a teacher on the labels, then a student a round on labels and sure texts.

    What the teachers of finished rounds said is kept beside the checkpoints, so that a resumed
    training goes on in the round where it ended. SettingsError without unlabelled texts,
    TrainingError where the teacher's answers are too many to hold.
    """
    settings = task.recipe.self_training
    if not task.unlabelled:
        raise SettingsError(
            "self-training learns from texts without labels: give some with --unlabelled SOURCE"
        )
    check_answers(len(task.training) + len(task.unlabelled), len(task.labels))
    identity = _identity(task)
    start = copy.deepcopy(classifier.encoder)
    before = PretrainedVectors.of(start, task)
    familiar = before.familiar(task)
    done, labelling = _finished_rounds(task, identity)
    fitted: FittedModule | None = None
    if labelling is None:
        task.report.say("self-training: the teacher learns the labels")
        fitted = train_supervised(classifier, task.at_stage("teacher"), identity=identity)
    for number in range(done or 1, settings.rounds + 1):
        if labelling is None:
            assert fitted is not None
            labelling = _label(fitted.classifier, before, task)
            _keep(task, number, identity, labelling)
        selected = select(labelling.probabilities, labelling.sure, familiar, settings)
        labelling = None
        task.report.say(
            f"self-training, round {number}: {len(selected.rows):,} of {len(task.unlabelled):,} "
            f"unlabelled texts have a label; {int((~familiar).sum()):,} are unlike the labelled"
        )
        if len(selected.rows) == 0:
            task.report.say("self-training ends here: the teacher is sure of none")
            break
        fitted = _student(copy.deepcopy(start), selected, number, identity, task)
    if fitted is None:
        fitted = train_supervised(classifier, task.at_stage("teacher"), identity=identity)
    for number in range(1, settings.rounds + 1):
        if (place := _place(task, number)) is not None:
            remove_checkpoint(place)
    return fitted


def _student(
    encoder: TextEncoder, selected: Selected, number: int, identity: str, task: FittingTask
) -> FittedModule:
    """A classifier from the pre-trained encoder, trained on labels and on what is sure."""
    recipe, settings, classes = task.recipe, task.recipe.self_training, len(task.labels)
    known = task.training
    best = selected.targets.argmax(axis=1)
    taught = [
        Example(task.unlabelled[row], task.labels[label], "train")
        for row, label in zip(selected.rows, best, strict=True)
    ]
    repeated = repetitions(len(known), len(taught), settings)
    read = [*known * repeated, *taught]
    epochs = min(recipe.epochs or settings.reads, max(1.0, settings.reads / len(read)))
    stage = task.at_stage(f"student-{number}", epochs=epochs)
    splits = replace(task.splits, train=(*known, *taught))
    classifier = adapt_warm(encoder, replace(stage, splits=splits))
    truth = class_numbers(known * repeated, task.labels)
    smoothing = recipe.label_smoothing
    labelled = np.full((len(truth), classes), smoothing / classes, dtype=np.float32)
    labelled[np.arange(len(truth)), truth] += 1 - smoothing
    weights = np.concatenate([np.ones(len(truth)), np.full(len(taught), settings.weight)])
    by_class = class_weights(np.concatenate([truth, best]), classes, recipe.class_weights)
    if by_class is not None:
        weights = weights * by_class[np.concatenate([truth, best])]
    objective = SoftLabels(
        np.concatenate([labelled, selected.targets]),
        weights.astype(np.float32),
        np.arange(len(read)) >= len(truth),
        settings.consistency,
    )
    digest = hashlib.blake2b(selected.targets.tobytes(), digest_size=8)
    digest.update(selected.rows.tobytes())
    return train_supervised(
        classifier,
        stage,
        examples=read,
        objective=objective,
        identity=f"{identity} {number} {digest.hexdigest()}",
    )


def _label(teacher: TextClassifier, before: PretrainedVectors, task: FittingTask) -> Labelling:
    """What it says of the unlabelled texts, put right by their neighbours, as probabilities.

    Calibrated on validation where that is enough, else on what a linear head would get right.
    """
    teacher.eval()
    known, held_out = task.training, task.validation
    strays = task.strays
    judged = [*held_out, *strays]
    texts = [*(e.text for e in known), *_judged_texts(task), *task.unlabelled]
    task.report.start("labelling", len(texts))
    vectors, logits = forward(teacher, texts, task.hardware, task.report)
    task.report.finish()
    expected = _expected_accuracy(before.known, task)
    if task.recipe.self_training.propagation:
        logits = _propagated(logits, [vectors, before.all], expected, task)
    bank = vectors[: len(known)]
    places = np.arange(len(known), len(known) + len(judged))
    asked = logits[len(known) + len(judged) :]
    if len(held_out) < ENOUGH:
        temperature = matching_temperature(asked, expected)
        probabilities = softmax(asked, temperature)
        return Labelling(probabilities, probabilities.max(axis=1))
    truth = np.concatenate([task.numbers(held_out), np.full(len(strays), -1, dtype=np.int64)])
    near = neighbour_similarity(vectors, bank, _NEIGHBOURS)
    model, _ = fit_confidence(logits[places], near[places], truth, votes=None)
    probabilities = model.probabilities(asked, votes=None)
    if model.weights is None:
        return Labelling(probabilities, probabilities.max(axis=1))
    scores = model.in_scope_scores(asked, near[len(known) + len(judged) :])
    return Labelling(probabilities, model.confidence(probabilities, scores))


def _propagated(
    logits: NDArray[np.float32],
    views: list[NDArray[np.float32]],
    expected: float,
    task: FittingTask,
) -> NDArray[np.float32]:
    """Logits [n, k] of labelled, judged and unlabelled texts after their labels have flowed.

    Each row keeps its energy (the logarithm of its summed exponentials), by which texts of no
    class are told.
    """
    settings, known = task.recipe.self_training, task.numbers(task.training)
    labelled = np.full(len(logits), -1, dtype=np.int64)
    labelled[: len(known)] = known
    said = softmax(logits, matching_temperature(logits[len(known) :], expected))
    flowed = propagate(
        neighbour_graph(views, settings.neighbours), said, labelled, settings.propagation
    )
    energy = np.logaddexp.reduce(logits.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(np.log(flowed) + energy, dtype=np.float32)


def _expected_accuracy(vectors: NDArray[np.float32], task: FittingTask) -> float:
    """Cross-validated accuracy of a linear head on pre-trained vectors; a careful guess."""
    truth = task.numbers(task.training)
    fold = np.empty(len(truth), dtype=np.int64)
    draw = np.random.default_rng(task.recipe.seed)
    for label in np.unique(truth):
        own = draw.permutation(np.flatnonzero(truth == label))
        fold[own] = np.arange(len(own)) % _FOLDS
    right = 0
    for number in range(_FOLDS):
        inside = fold == number
        there, column = np.unique(truth[~inside], return_inverse=True)
        if not inside.any() or len(there) < 2:
            continue
        head = fit_linear_head(
            vectors[~inside],
            column.astype(np.int64),
            classes=len(there),
            regularisation=task.recipe.head_regularisation,
        )
        right += int((there[head.logits(vectors[inside]).argmax(axis=1)] == truth[inside]).sum())
    return min(0.99, max(right / len(truth), 1.5 / len(task.labels)))


def _judged_texts(task: FittingTask) -> list[str]:
    return [e.text for e in (*task.validation, *task.strays)]


def _place(task: FittingTask, number: int) -> Path | None:
    return None if task.checkpoints is None else task.checkpoints / f"labels-{number}"


def _keep(task: FittingTask, number: int, identity: str, labelling: Labelling) -> None:
    place = _place(task, number)
    if place is not None:
        tensors = {
            "probabilities": torch.from_numpy(labelling.probabilities),
            "sure": torch.from_numpy(labelling.sure),
        }
        save_checkpoint(place, Checkpoint(tensors, {"identity": identity}))


def _finished_rounds(task: FittingTask, identity: str) -> tuple[int, Labelling | None]:
    """The last round whose texts were labelled, and how; 0 and None where there is none."""
    for number in range(task.recipe.self_training.rounds, 0, -1):
        place = _place(task, number)
        if place is None or not task.resume:
            continue
        found = load_checkpoint(place)
        if found is None:
            continue
        if found.state["identity"] != identity:
            raise TrainingError(
                "the checkpoint belongs to other data, encoder or recipe: start without --resume",
                path=str(place),
            )
        task.report.say(f"going on from round {number} of self-training")
        probabilities, sure = (found.tensors[name].numpy() for name in ("probabilities", "sure"))
        return number, Labelling(probabilities, sure)
    return 0, None


def _identity(task: FittingTask) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for example in task.training:
        digest.update(f"{example.key}\x00{example.label}\n".encode())
    for text in task.unlabelled:
        digest.update(text.encode(errors="replace") + b"\x00")
    fields = task.recipe.model_dump(mode="json", exclude={"checkpoint_seconds", "target_error"})
    digest.update(json.dumps([fields, task.encoder], sort_keys=True).encode())
    return digest.hexdigest()
