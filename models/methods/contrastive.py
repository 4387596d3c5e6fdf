"""Contrastive training of the encoder on few labels, and a head that is fitted to it anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.encoder import TextEncoder
from models.methods.supervised import classifier_of, train_supervised
from models.methods.task import FittedModule, FittingTask
from models.text_classifier import TextClassifier
from shared.finetuning.contrastive import Pairs
from shared.finetuning.linear_head import FINAL_TOLERANCE, choose_linear_head, fit_linear_head
from shared.finetuning.objectives import Supervised
from shared.finetuning.recipe import epochs_for
from shared.finetuning.zero_shot import TEMPLATES, prompts_of
from shared.records import Example

PARTS = 4
"""How many times as many tokens as in other trainings are computed at once."""


def train_contrastive(classifier: TextClassifier, task: FittingTask) -> FittedModule:
    """Train encoder and head in place on texts and their partners, then fit a head anew.

    The encoder's weights end part of the way between where they began and what was trained.
    """
    settings, encoder = task.recipe.contrastive, classifier.encoder
    examples = [*task.training, *names_as_examples(task)]
    tokens = task.tokens(encoder, examples)
    began = {name: weight.detach().clone() for name, weight in encoder.named_parameters()}
    caught: list[torch.Tensor] = []

    def catch(_module: torch.nn.Module, _given: object, output: torch.Tensor) -> None:
        caught[:] = [output]

    objective = Pairs(
        Supervised.of(task.recipe, tokens.truth, len(task.labels)),
        tokens.texts,
        tokens.truth,
        lambda: caught[0],
        settings.temperature,
        settings.weight,
        task.recipe.seed,
    )
    # A text is told from those of its part of a batch alone: parts are large.
    recipe = task.recipe
    epochs = settings.share_of_epochs * (recipe.epochs or epochs_for(len(examples)))
    recipe = recipe.model_copy(update={"part_tokens": PARTS * recipe.part_tokens, "epochs": epochs})
    # The classifier gives logits alone; the vectors are caught on their way to the head.
    handle = encoder.register_forward_hook(catch)
    try:
        fitted = train_supervised(
            classifier,
            replace(task, recipe=recipe),
            examples=examples,
            objective=objective,
            identity="contrastive",
        )
    finally:
        handle.remove()
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            weight.lerp_(began[name], 1 - settings.kept)
    return FittedModule(_with_new_head(encoder, examples, task), fitted.outcome)


def names_as_examples(task: FittingTask) -> list[Example]:
    """Sentences with the name of each class, and its description, as examples of it."""
    wanted = TEMPLATES[: task.recipe.contrastive.names]
    if not wanted:
        return []
    return [
        Example(text, label)
        for label in task.labels
        for text in prompts_of(label, task.descriptions, wanted)
    ]


def _with_new_head(
    encoder: TextEncoder, examples: Sequence[Example], task: FittingTask
) -> TextClassifier:
    """Logistic regression on the trained encoder, its penalty chosen on validation if there is."""

    def embed(given: Sequence[Example]) -> NDArray[np.float32]:
        return encoder.embed([e.text for e in given], hardware=task.hardware)

    truth, held_out = task.numbers(examples), task.validation
    balanced = task.recipe.class_weights == "balanced"
    if held_out:
        head = choose_linear_head(
            embed(examples), truth, embed(held_out), task.numbers(held_out),
            classes=len(task.labels), balanced=balanced,
        )  # fmt: skip
    else:
        head = fit_linear_head(
            embed(examples), truth, classes=len(task.labels),
            regularisation=task.recipe.head_regularisation, balanced=balanced,
            tolerance=FINAL_TOLERANCE,
        )  # fmt: skip
    return classifier_of(encoder, head.weight, head.bias, scale=1.0, cosine=False)
