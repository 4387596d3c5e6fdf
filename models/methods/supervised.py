"""Labels alone: class names, a head on the frozen encoder, and training by the loop."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from models.encoder import TextEncoder
from models.methods.task import FittedModule, FittingTask
from models.text_classifier import ClassificationHead, TextClassifier
from shared.finetuning.batching import TokenisedTexts
from shared.finetuning.linear_head import choose_linear_head, class_means, fit_linear_head
from shared.finetuning.loop import LabelledTokens, TrainingOutcome, train
from shared.finetuning.objectives import Objective, Supervised
from shared.finetuning.outliers import Exposed
from shared.finetuning.zero_shot import class_vectors, zero_shot_head
from shared.records import Example


def adapt_zero_shot(encoder: TextEncoder, task: FittingTask) -> TextClassifier:
    """Class vectors from names and descriptions, calibrated against texts without labels."""
    classes = class_vectors(task.labels, encoder.embed, descriptions=task.descriptions)
    unlabelled = None
    if task.unlabelled:
        task.report.start("embedding texts without labels", len(task.unlabelled))
        unlabelled = encoder.embed(task.unlabelled, hardware=task.hardware, report=task.report)
        task.report.finish()
    head = zero_shot_head(classes, unlabelled)
    return classifier_of(encoder, head.weight, head.bias, scale=head.scale, cosine=True)


def adapt_frozen(encoder: TextEncoder, task: FittingTask) -> TextClassifier:
    """Logistic regression on the frozen encoder, its penalty chosen on validation."""
    held_out = task.validation
    head = choose_linear_head(
        embed_training(encoder, task),
        task.numbers(task.training),
        encoder.embed([e.text for e in held_out], hardware=task.hardware),
        task.numbers(held_out),
        classes=len(task.labels),
        balanced=task.recipe.class_weights == "balanced",
    )
    return classifier_of(encoder, head.weight, head.bias, scale=1.0, cosine=False)


def adapt_warm(encoder: TextEncoder, task: FittingTask) -> TextClassifier:
    """A cosine head started by logistic regression on the frozen encoder.

    Vectors so alike that the regression ends where it began give class means from their centre.
    """
    vectors, truth = embed_training(encoder, task), task.numbers(task.training)
    warm = fit_linear_head(
        vectors,
        truth,
        classes=len(task.labels),
        regularisation=task.recipe.head_regularisation,
        balanced=task.recipe.class_weights == "balanced",
    )
    if not warm.weight.any(axis=1).all():
        warm = class_means(vectors - vectors.mean(axis=0), truth, len(task.labels), 1.0)
    length = np.linalg.norm(warm.weight, axis=1, keepdims=True)
    weight = warm.weight / np.maximum(length, 1e-12)
    bias = np.zeros(len(task.labels), dtype=np.float32)
    return classifier_of(encoder, weight, bias, scale=task.recipe.head_scale, cosine=True)


def embed_training(encoder: TextEncoder, task: FittingTask) -> NDArray[np.float32]:
    """Unit vectors float32 [n, dimensions] of the training examples, with a bar."""
    texts = [example.text for example in task.training]
    task.report.start("embedding", len(texts))
    vectors = encoder.embed(texts, hardware=task.hardware, report=task.report)
    task.report.finish()
    return vectors


def train_supervised(
    classifier: TextClassifier,
    task: FittingTask,
    *,
    examples: Sequence[Example] | None = None,
    objective: Objective | None = None,
    identity: str = "",
) -> FittedModule:
    """Train by the recipe on the training examples, or on others, and in place.

    ``objective`` takes the place of the labels' own; augmentation, adversarial changes, weights of
    doubtful labels and the members of a soup are the recipe's. The task's outliers are read with
    all of them. ``identity`` tells what else a checkpoint depends on.
    """
    recipe = task.recipe
    read = task.training if examples is None else list(examples)
    strays = task.outliers * recipe.outliers.repeated
    truth = task.numbers(read)
    if objective is None:
        weights = None
        if recipe.noise.kind != "none":
            from models.methods.noisy_labels import judged_labels

            judged = judged_labels(task, read)
            truth, weights = judged.truth, judged.weights
        objective = Supervised.of(recipe, truth, len(task.labels), weights)
    if strays:
        truth = np.append(truth, np.full(len(strays), len(task.labels)))
    lesson = _Lesson(
        [example.text for example in (*read, *strays)],
        truth,
        len(read),
        objective,
        _identity([*read, *strays], task, classifier.encoder.name, identity),
    )
    if recipe.soup.members > 1:
        from models.methods.soup import cook

        return cook(classifier, task, lesson.identity, partial(_train_once, lesson))
    return FittedModule(classifier, _train_once(lesson, classifier, task))


@dataclass(frozen=True, eq=False, slots=True)
class _Lesson:
    """What is read: ``texts`` [n] with the classes ``truth`` int64[n], the first ``inside`` of
    which have one; the objective; and what a checkpoint depends on."""

    texts: Sequence[str]
    truth: NDArray[np.int64]
    inside: int
    objective: Objective
    identity: str


def _train_once(lesson: _Lesson, classifier: TextClassifier, task: FittingTask) -> TrainingOutcome:
    """One training of the classifier, in place, by the task's seed."""
    recipe, encoder, objective = task.recipe, classifier.encoder, lesson.objective
    encoder.set_dropout(recipe.dropout, recipe.attention_dropout)
    variants: Callable[[int], TokenisedTexts] | None = None
    if recipe.augmentation.share:
        from shared.finetuning.augmentation import TextNoise

        noise = TextNoise(recipe.augmentation, recipe.seed)

        def changed(epoch: int) -> TokenisedTexts:
            return encoder.tokenise(noise.vary(lesson.texts, epoch))

        if recipe.augmentation.agreement:
            from shared.finetuning.noised_copies import NoisedCopies

            an_epoch = math.ceil(len(lesson.texts) / recipe.batch_size)
            weight = recipe.augmentation.agreement
            objective = NoisedCopies(objective, changed, an_epoch, weight)
        else:
            variants = changed
    if recipe.adversarial.kind != "none":
        from shared.finetuning.adversarial import make_adversarial

        objective = make_adversarial(objective, recipe.adversarial, encoder.embedding)
    if len(lesson.texts) > lesson.inside:
        objective = Exposed(objective, lesson.inside, recipe.outliers.weight)
    held_out = task.validation
    return train(
        classifier,
        LabelledTokens(encoder.tokenise(lesson.texts), lesson.truth),
        task.tokens(encoder, held_out) if held_out else None,
        classes=len(task.labels),
        recipe=recipe,
        hardware=task.hardware,
        report=task.report,
        objective=objective,
        variants=variants,
        checkpoints=task.checkpoints,
        identity=lesson.identity,
        resume=task.resume,
    )


def classifier_of(
    encoder: TextEncoder,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    *,
    scale: float,
    cosine: bool,
) -> TextClassifier:
    """Encoder and head on the encoder's device; weight [classes, dimensions], bias [classes]."""
    head = ClassificationHead(torch.from_numpy(weight), torch.from_numpy(bias), scale, cosine)
    classifier = TextClassifier(encoder, head)
    return classifier.to(next(encoder.parameters()).device)


def _identity(examples: Sequence[Example], task: FittingTask, encoder: str, more: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for example in examples:
        digest.update(f"{example.key}\x00{example.label}\n".encode())
    settings = task.recipe.model_dump(exclude={"checkpoint_seconds", "target_error"}, mode="json")
    digest.update(json.dumps([settings, encoder, more], sort_keys=True).encode())
    return digest.hexdigest()
