"""A version goes on learning: new examples and classes, the old ones replayed and held."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.head_update import extended_head, fit_new_rows
from models.methods.supervised import train_supervised
from models.methods.task import FittedModule, FittingTask, in_scope
from models.registry import ModelVersion
from models.text_classifier import ClassificationHead, TextClassifier, TextPredictor, forward
from models.version_content import read_examples
from shared.errors import SettingsError, TrainingError
from shared.finetuning.continual import (
    CONTINUING,
    Earlier,
    forgetting,
    holding_shift,
    new_class_shift,
    replayed_rows,
)
from shared.finetuning.distillation import Taught, answers_fit, check_answers, softened
from shared.finetuning.methods import METHODS
from shared.finetuning.objectives import Supervised
from shared.finetuning.recipe import Recipe
from shared.records import Example, fingerprint

ADAPTED = ("lora", "soft_prompt", "cloze")
"""Ways that leave the encoder as it is, below what they train."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is shown: examples that the version has not seen, and old ones again."""

    new: list[Example]
    replayed: list[Example]

    @property
    def examples(self) -> list[Example]:
        """All of them, old ones first."""
        return [*self.replayed, *self.new]


def continuing(recipe: Recipe, base: TextPredictor | None) -> Recipe:
    """The recipe with a method that goes on from ``base``; SettingsError where none can.

    ``auto`` means ``continual`` where there is a base. A version whose encoder rests below an
    adapter or a prompt cannot go on: what would train is not what it keeps. Nor are other stages
    of training, which start anew, left out in silence.
    """
    method = recipe.method
    if base is None:
        if method == "continual":
            message = "continual goes on from a version: name it with --continue-from VERSION"
            raise SettingsError(message, field="method")
        return recipe
    if method not in ("auto", *CONTINUING):
        message = f"{method} starts anew: a version goes on by {', '.join(CONTINUING)}"
        raise SettingsError(message, field="method")
    learned = base.card.get("method")
    if any(learned == name and known.way in ADAPTED for name, known in METHODS.items()):
        message = f"{base.version} was trained by {learned}: its encoder is not its own to train"
        raise SettingsError(message, field="continue_from")
    if base.encoder.adapters is not None:
        message = f"{base.version} lies on a shared encoder, which is not its own to train"
        raise SettingsError(message, field="continue_from")
    others = {
        "domain.epochs": recipe.domain.epochs,
        "self_training.rounds": recipe.self_training.rounds,
        "distillation.seeds": recipe.distillation.seeds or recipe.distillation.teachers,
        "pruning.layers": recipe.pruning.layers or recipe.pruning.heads,
        "noise.kind": recipe.noise.kind != "none",
    }
    for field, wanted in others.items():
        if wanted:
            message = f"{field} starts anew and does not go with a version that goes on"
            raise SettingsError(message, field=field)
    return recipe.model_copy(update={"method": "continual"}) if method == "auto" else recipe


def earlier_of(version: ModelVersion, base: TextPredictor) -> Earlier:
    """The examples that the version was trained with, validated and gated on."""
    assigned = version.folder / "splits.json"
    held = {
        name: tuple(read_examples(path)) if path.is_file() else ()
        for name in ("validation", "gate")
        for path in [version.folder / f"{name}.jsonl"]
    }
    return Earlier(
        bank_examples(base),
        held["validation"],
        held["gate"],
        json.loads(assigned.read_text(encoding="utf-8")) if assigned.is_file() else {},
    )


def bank_examples(base: TextPredictor) -> tuple[Example, ...]:
    """The training examples of the version."""
    return tuple(Example(text, label) for text, label in base.bank)


def new_examples(training: list[Example], base: TextPredictor) -> list[Example]:
    """The training examples that the version has not seen with this label."""
    seen = {(fingerprint(text), label) for text, label in base.bank}
    return [e for e in in_scope(training) if (e.key, e.label) not in seen]


def adapt_further(task: FittingTask) -> TextClassifier:
    """The version's encoder and head; a new class gets a vector fitted beside the old ones.

    TrainingError when no example is new.
    """
    base = _base(task)
    lesson = lesson_of(task)
    task.report.say(
        f"going on from {base.version}: {len(lesson.new):,} new examples, "
        f"{len(lesson.replayed):,} old ones again, "
        f"{len(set(task.labels) - set(base.labels))} new classes"
    )
    vectors = base.embed([example.text for example in lesson.examples])
    head = _grown_head(base, task, vectors, task.numbers(lesson.examples))
    encoder = copy.deepcopy(base.classifier.encoder).requires_grad_(True)
    if task.recipe.spelling or encoder.spelling is not None:
        encoder.learn_spelling([example.text for example in task.training])
    return TextClassifier(encoder, head).to(task.hardware.device)


def train_further(classifier: TextClassifier, task: FittingTask) -> FittedModule:
    """Train on new and replayed texts; on both, the old version's answers are held.

    ``facts`` say what each old class lost on held-out examples, by ``forgetting``.
    """
    base, settings = _base(task), task.recipe.continual
    examples = lesson_of(task).examples
    truth = task.numbers(examples)
    check_answers(len(examples), len(base.labels))
    _, held = forward(base.classifier, [example.text for example in examples])
    places = {label: number for number, label in enumerate(task.labels)}
    objective = Taught(
        Supervised.of(task.recipe, truth, len(task.labels)),
        softened(held, settings.temperature),
        columns=np.array([places[label] for label in base.labels], dtype=np.int64),
        temperature=settings.temperature,
        label_weight=1.0,
        teacher_weight=settings.weight,
    )
    fitted = train_supervised(
        classifier, task, examples=examples, objective=objective, identity=base.version
    )
    facts: dict[str, Any] = {"base": base.version}
    if settings.corrected:
        _correct(fitted.classifier, task)
    lost = _forgotten(fitted.classifier, task)
    if lost is not None:
        facts["forgetting"] = lost
        task.report.log(event="forgetting", **lost)
        task.report.say(
            f"old classes on {lost['examples']:,} held-out examples: recall "
            f"{100 * lost['before']:.2f} % before, {100 * lost['after']:.2f} % after"
        )
    return FittedModule(fitted.classifier, fitted.outcome, facts)


def lesson_of(task: FittingTask) -> Lesson:
    """The new examples, and of each old class those whose mean is nearest to the class's own."""
    base = _base(task)
    new = new_examples(task.training, base)
    if not new:
        message = f"no training example is new to {base.version}: there is nothing to learn"
        raise TrainingError(message, version=base.version)
    changed = {example.key for example in new}
    bank = [(row, e) for row, e in enumerate(bank_examples(base)) if e.key not in changed]
    rows = np.array([row for row, _ in bank], dtype=np.int64)
    chosen = replayed_rows(
        base.bank_vectors[rows], [e.label for _, e in bank], task.recipe.continual.replay
    )
    return Lesson(new, [bank[place][1] for place in chosen])


def _grown_head(
    base: TextPredictor,
    task: FittingTask,
    vectors: NDArray[np.float32],
    truth: NDArray[np.int64],
) -> ClassificationHead:
    """The old rows as they are; ``vectors`` [n, d] and ``truth`` [n] are what is shown."""
    old, labels = base.classifier.head, task.labels
    known = {label: number for number, label in enumerate(base.labels)}
    weight, bias = (part.detach().cpu().numpy() for part in (old.weight, old.bias))
    fresh = np.array([label not in known for label in labels])
    # Beside very many classes the mean of a new one must do: fitting it looks at all of them.
    fits = answers_fit(len(vectors), len(labels))
    replayed = np.isin(truth, np.flatnonzero(~fresh)).any()
    if not old.cosine and fits and fresh.any() and replayed:
        cpu = ClassificationHead(old.weight.detach().cpu(), old.bias.detach().cpu(), 1.0, False)
        return extended_head(cpu, base.labels, labels, truth, vectors)
    length = 1.0 if old.cosine else float(np.linalg.norm(weight, axis=1).mean())
    rows, offsets = [], []
    for number, label in enumerate(labels):
        if label in known:
            rows.append(weight[known[label]])
            offsets.append(float(bias[known[label]]))
        else:
            mean = vectors[truth == number].mean(axis=0)
            rows.append(length * mean / max(float(np.linalg.norm(mean)), 1e-12))
            offsets.append(0.0 if old.cosine else float(bias.mean()))
    start = np.stack(rows).astype(np.float32)
    if old.cosine:
        start /= np.linalg.norm(start, axis=1, keepdims=True)
        if fresh.any() and fits:
            start = fit_new_rows(start, fresh, vectors, truth, old.scale)
    return ClassificationHead(
        torch.from_numpy(start), torch.tensor(offsets), old.scale, cosine=old.cosine
    )


def _correct(classifier: TextClassifier, task: FittingTask) -> None:
    """Shift the logits of new classes by what validation wants, or as old classes can bear.

    The bias holds the shift.
    """
    fresh = np.array([label not in _base(task).labels for label in task.labels])
    held = task.validation
    if not held or not fresh.any():
        return
    logits = forward(classifier, [example.text for example in held])[1]
    truth = task.numbers(held)
    shift = new_class_shift(logits, truth, fresh)
    old = [example for example in held if example.label in _base(task).labels]
    if old:
        base = _base(task)
        before = forward(base.classifier, [example.text for example in old])[1].argmax(axis=1)
        right = np.mean([base.labels[n] == e.label for n, e in zip(before, old, strict=True)])
        least = max(0.0, float(right) - task.recipe.continual.most_lost)
        bearable = holding_shift(logits, truth, fresh, least)
        if bearable is None:
            task.report.say(
                "old classes are taken for one another more often than before: holding back new "
                "ones does not mend that"
            )
        elif bearable < shift:
            task.report.say(f"new classes are held back by {shift - bearable:.2f} for the old ones")
            shift = bearable
    bias = classifier.head.bias
    with torch.no_grad():
        bias.add_(shift * torch.from_numpy(fresh).to(bias))
    task.report.say(f"logits of new classes shifted by {shift:+.2f}")


def _forgotten(classifier: TextClassifier, task: FittingTask) -> dict[str, Any] | None:
    base = _base(task)
    held = in_scope([*task.splits.validation, *task.splits.gate], base.labels)
    if not held:
        return None
    texts = [example.text for example in held]
    before = forward(base.classifier, texts)[1].argmax(axis=1)
    after = forward(classifier, texts)[1].argmax(axis=1)
    return forgetting(
        [example.label for example in held],
        [base.labels[number] for number in before],
        [task.labels[number] for number in after],
    )


def _base(task: FittingTask) -> TextPredictor:
    assert task.base is not None
    return task.base
