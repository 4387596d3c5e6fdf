"""A classifier is trained whole, loses layers and heads, and recovers by its former answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.fewer_heads import attention_of
from models.methods.stages import finished_stage, forget_stages, keep_stage, stage_identity
from models.methods.supervised import train_supervised
from models.methods.task import FittedModule, FittingTask
from models.pruned_encoder import (
    drop_heads,
    drop_layers,
    head_counts,
    only_layers,
)
from models.text_classifier import TextClassifier, forward
from shared.finetuning.batching import inference_batches
from shared.finetuning.distillation import Taught, check_answers, softened
from shared.finetuning.loop import LabelledTokens
from shared.finetuning.objectives import Supervised
from shared.finetuning.pruning import cost_table, needed_heads, needed_layers, spread_layers
from shared.records import Example

MOST_JUDGED = 512
"""Texts on which layers, heads and speed are judged."""
SETTLING = 2
"""Layers from the top that never rest while the pruned model recovers."""


def prune(classifier: TextClassifier, task: FittingTask) -> FittedModule:
    """Full training, then layers and heads go, then a short distillation from the whole model.

    EncoderError where single heads of the encoder's family cannot be dropped, TrainingError where
    the whole model's answers are too many to hold. ``facts`` and the
    report hold what it cost and what it gained.
    """
    settings, encoder = task.recipe.pruning, classifier.encoder
    depth = len(encoder.layers)
    if settings.heads:
        attention_of(encoder.backbone, encoder.layers[0])
    check_answers(len(task.training) + len(task.unlabelled), len(task.labels))
    if not task.resume:
        forget_stages(task)
    whole = task.at_stage("whole")
    identity = stage_identity(whole, task.training)
    found = finished_stage(whole, identity)
    outcome = None
    if found is None:
        outcome = train_supervised(classifier, whole).outcome
        keep_stage(whole, identity, dict(classifier.state_dict()))
    else:
        classifier.load_state_dict(found)
    classifier.eval()
    judged = (task.validation or task.training)[:MOST_JUDGED]
    if not settings.heads and not 0 < settings.layers < depth:
        task.report.say(f"the encoder has {depth} layers: none is dropped")
        forget_stages(task)
        return FittedModule(classifier, outcome)
    texts = [*(e.text for e in task.training), *task.unlabelled]
    before = _measured(classifier, judged, task)
    answers = softened(forward(classifier, texts)[1], settings.temperature)
    tokens = task.tokens(encoder, judged)
    kept = tuple(range(depth))
    if 0 < settings.layers < depth:
        kept = _kept_layers(classifier, judged, task)
        drop_layers(encoder, kept)
        task.report.say(f"layers {', '.join(str(n) for n in kept)} of 0 to {depth - 1} stay")
    if settings.heads:
        importance = head_importance(classifier, tokens, task)
        drop_heads(encoder, needed_heads(importance, settings.heads))
        task.report.say(f"attention heads by layer: {head_counts(encoder)}")
    cut = _measured(classifier, judged, task)
    if settings.recovery:
        outcome = _recover(classifier, task, texts, answers)
    after = _measured(classifier, judged, task)
    forget_stages(task)
    for line in cost_table(before, after):
        task.report.say(line)
    facts = {
        "kept_layers": list(kept),
        "heads_by_layer": head_counts(encoder),
        "judged_on": "validation" if task.validation else "train",
        "examples": len(judged),
        "whole": before,
        "without_recovery": cut,
        "pruned": after,
    }
    task.report.log(event="pruning", **facts)
    return FittedModule(classifier, outcome, {"pruning": facts})


def head_importance(
    classifier: TextClassifier, judged: LabelledTokens, task: FittingTask
) -> list[NDArray[np.float64]]:
    """How much the loss would change if a head were gated: one value a head for each layer.

    The gradient of each text's loss by a factor on the head's output, absolute, and added up.
    """
    encoder = classifier.encoder
    thaw(classifier)
    attentions = [attention_of(encoder.backbone, layer) for layer in encoder.layers]
    totals = [np.zeros(attention.heads) for attention in attentions]
    handles = []
    for number, attention in enumerate(attentions):
        owner, name = attention.output

        def watch(_: Any, args: tuple[torch.Tensor], number: int = number) -> None:
            output = args[0]
            heads, size = len(totals[number]), attentions[number].size

            def add(slope: torch.Tensor) -> None:
                gate = (output.detach() * slope).float().view(*output.shape[:2], heads, size)
                totals[number] += gate.sum((1, 3)).abs().sum(0).double().cpu().numpy()

            output.register_hook(add)  # type: ignore[no-untyped-call]

        handles.append(getattr(owner, name).register_forward_pre_hook(watch))
    classifier.eval()
    device = task.hardware.device
    for rows in inference_batches(judged.texts.lengths):
        ids, mask = (part.to(device) for part in judged.texts.batch(rows))
        truth = torch.from_numpy(judged.truth[rows]).to(device)
        loss = torch.nn.functional.cross_entropy(classifier(ids, mask), truth, reduction="sum")
        loss.backward()  # type: ignore[no-untyped-call]
    for handle in handles:
        handle.remove()
    classifier.zero_grad(set_to_none=True)
    return totals


def thaw(classifier: TextClassifier) -> None:
    """Let everything train again: a training leaves layers at rest."""
    classifier.requires_grad_(True)
    classifier.head.bias.requires_grad_(not classifier.head.cosine)


def _kept_layers(
    classifier: TextClassifier, judged: Sequence[Example], task: FittingTask
) -> tuple[int, ...]:
    settings, encoder = task.recipe.pruning, classifier.encoder
    depth = len(encoder.layers)
    if settings.choice == "spread":
        return spread_layers(depth, settings.layers)

    def loss_with(layers: tuple[int, ...]) -> float:
        with only_layers(encoder, layers):
            return _quality(classifier, judged, task)[1]

    return needed_layers(depth, settings.layers, loss_with)


def _recover(
    classifier: TextClassifier,
    task: FittingTask,
    texts: Sequence[str],
    answers: NDArray[np.float32],
) -> Any:
    settings, recipe = task.recipe.pruning, task.recipe
    thaw(classifier)
    labelled = task.training
    guessed = answers[len(labelled) :].argmax(axis=1)
    examples = [
        *labelled,
        *(Example(t, task.labels[n]) for t, n in zip(texts[len(labelled) :], guessed, strict=True)),
    ]
    weights = None
    if task.unlabelled:
        weights = np.zeros(len(examples), dtype=np.float32)
        weights[: len(labelled)] = 1.0
    objective = Taught(
        Supervised.of(recipe, task.numbers(examples), len(task.labels), weights),
        answers,
        temperature=settings.temperature,
        label_weight=1.0 - settings.weight,
        teacher_weight=settings.weight,
    )
    resting = max(0, len(classifier.encoder.layers) - SETTLING)
    stage = task.at_stage(
        "recovery",
        epochs=None if recipe.epochs is None else recipe.epochs * settings.recovery,
        freeze_at=recipe.freeze_at[:resting],
    )
    return train_supervised(
        classifier, stage, examples=examples, objective=objective, identity="recovery"
    ).outcome


def _measured(
    classifier: TextClassifier, judged: Sequence[Example], task: FittingTask
) -> dict[str, Any]:
    accuracy, loss = _quality(classifier, judged, task)
    texts = [example.text for example in judged]
    forward(classifier, texts[:32])
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        forward(classifier, texts)
        seconds.append(time.perf_counter() - started)
    return {
        "layers": len(classifier.encoder.layers),
        "heads": sum(head_counts(classifier.encoder)),
        "parameters": sum(p.numel() for p in classifier.parameters()),
        "accuracy": accuracy,
        "loss": loss,
        "texts_per_second": len(texts) / max(min(seconds), 1e-9),
    }


def _quality(
    classifier: TextClassifier, judged: Sequence[Example], task: FittingTask
) -> tuple[float, float]:
    """Accuracy and mean cross-entropy."""
    logits = forward(classifier, [example.text for example in judged])[1]
    truth = task.numbers(judged)
    shifted = logits - logits.max(axis=1, keepdims=True)
    loss = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(truth)), truth]
    return float((logits.argmax(axis=1) == truth).mean()), float(loss.mean())
