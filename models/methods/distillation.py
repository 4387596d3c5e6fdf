"""Teachers are trained one after another, and their averaged answers teach the student."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.encoder_files import DEFAULT_ENCODER
from models.encoder_store import choose_encoder
from models.methods.soup import validation_accuracy
from models.methods.stages import finished_stage, forget_stages, keep_stage, stage_identity
from models.methods.supervised import adapt_warm, train_supervised
from models.methods.task import FittedModule, FittingTask
from models.text_classifier import TextClassifier, forward
from shared.finetuning.distillation import Taught, check_answers, softened
from shared.finetuning.objectives import Supervised
from shared.finetuning.soup import member_seed
from shared.records import Example


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trained teacher: logits [n, classes] on what the student reads and on validation."""

    encoder: str
    seed: int
    answers: NDArray[np.float32]
    on_validation: NDArray[np.float32]


def distil(classifier: TextClassifier, task: FittingTask) -> FittedModule:
    """Train the teachers, then the classifier by the labels and the teachers' mean answers.

    Texts without labels join with the teachers' answers alone. TrainingError where answers are too
    many to hold. ``facts`` say how teachers and student do on validation.
    """
    settings = task.recipe.distillation
    own = task.encoder or DEFAULT_ENCODER
    plan = [name for name in settings.teachers or (own,) for _ in range(max(1, settings.seeds))]
    if not task.resume:
        forget_stages(task)
    texts = [*(e.text for e in task.training), *task.unlabelled]
    check_answers(len(texts), len(task.labels))
    mean: NDArray[np.float32] | None = None
    on_validation: list[NDArray[np.float32]] = []
    told: list[dict[str, Any]] = []
    truth = task.numbers(task.validation)
    for number, name in enumerate(plan, start=1):
        task.report.say(f"teacher {number} of {len(plan)}: {name}")
        seed = member_seed(task.recipe.seed, number)
        stage = task.at_stage(f"teacher-{number}", seed=seed)
        teacher = _teacher(classifier if name == own else None, name, stage, texts)
        answers = softened(teacher.answers, settings.temperature) / np.float32(len(plan))
        mean = answers if mean is None else mean + answers
        on_validation.append(softened(teacher.on_validation, 1.0))
        told.append(
            {"encoder": name, "seed": seed, "accuracy": _accuracy(teacher.on_validation, truth)}
        )
    assert mean is not None
    outcome = _train_student(classifier, task, mean)
    together = _accuracy(np.mean(on_validation, axis=0), truth)
    student = validation_accuracy(classifier, task)
    forget_stages(task)
    facts = {
        "teachers": told,
        "ensemble_accuracy": together,
        "student_accuracy": student,
        "unlabelled": len(task.unlabelled),
    }
    if together is not None and student is not None:
        alone = ", ".join(f"{100 * t['accuracy']:.2f}" for t in told)
        task.report.say(
            f"accuracy on validation: teachers {alone} %, together {100 * together:.2f} %, "
            f"student {100 * student:.2f} %"
        )
    task.report.log(event="distillation", **facts)
    return FittedModule(classifier, outcome.outcome, {"distillation": facts})


def _train_student(
    classifier: TextClassifier, task: FittingTask, answers: NDArray[np.float32]
) -> FittedModule:
    settings = task.recipe.distillation
    labelled = task.training
    guessed = answers[len(labelled) :].argmax(axis=1)
    examples = [
        *labelled,
        *(
            Example(text, task.labels[number])
            for text, number in zip(task.unlabelled, guessed, strict=True)
        ),
    ]
    weights = None
    if task.unlabelled:
        weights = np.zeros(len(examples), dtype=np.float32)
        weights[: len(labelled)] = 1.0
    truth = task.numbers(examples)
    objective = Taught(
        Supervised.of(task.recipe, truth, len(task.labels), weights),
        answers,
        temperature=settings.temperature,
        label_weight=1.0 - settings.weight,
        teacher_weight=settings.weight,
    )
    identity = hashlib.blake2b(np.ascontiguousarray(answers).tobytes(), digest_size=16)
    stage = task.at_stage("student")
    return train_supervised(
        classifier, stage, examples=examples, objective=objective, identity=identity.hexdigest()
    )


def _teacher(
    start: TextClassifier | None, name: str, stage: FittingTask, texts: Sequence[str]
) -> Teacher:
    """A teacher trained by the stage's recipe, or as an earlier, broken run left it.

    It starts where the student does, or from its own encoder.
    """
    unlabelled = hashlib.blake2b("\x00".join(stage.unlabelled).encode(), digest_size=16)
    identity = stage_identity(stage, stage.training, f"{name} {unlabelled.hexdigest()}")
    found = finished_stage(stage, identity)
    if found is None:
        if start is None:
            encoder = choose_encoder(name, stage.recipe)
            classifier = adapt_warm(encoder.to(stage.hardware.device), stage)
        else:
            classifier = copy.deepcopy(start)
        train_supervised(classifier, stage)
        stage.report.start("its answers", len(texts))
        found = {
            "answers": torch.from_numpy(_on(classifier, texts, stage)),
            "validation": torch.from_numpy(_on(classifier, [e.text for e in stage.validation])),
        }
        stage.report.finish()
        keep_stage(stage, identity, found)
    return Teacher(name, stage.recipe.seed, found["answers"].numpy(), found["validation"].numpy())


def _on(
    classifier: TextClassifier, texts: Sequence[str], task: FittingTask | None = None
) -> NDArray[np.float32]:
    """Logits float32[n, classes] of the texts."""
    if not texts:
        return np.zeros((0, len(classifier.head.weight)), dtype=np.float32)
    return forward(classifier, texts, report=None if task is None else task.report)[1]


def _accuracy(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> float | None:
    return float((scores.argmax(axis=1) == truth).mean()) if len(truth) else None
