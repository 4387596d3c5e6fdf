"""Step five: the training loop, on one screen, for any module that maps tokens to logits."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from shared.errors import TrainingError
from shared.finetuning.averaging import WeightAverage
from shared.finetuning.batching import TokenisedTexts, inference_batches, training_batches
from shared.finetuning.checkpoint import (
    Checkpoint,
    load_checkpoint,
    remove_checkpoint,
    save_checkpoint,
)
from shared.finetuning.hardware import Hardware
from shared.finetuning.objectives import (
    class_weights,
    classification_loss,
    consistency_loss,
)
from shared.finetuning.progress import ProgressReporter
from shared.finetuning.recipe import Recipe, epochs_for


class Trainable(Protocol):
    """A torch module that maps token ids and attention mask, both [b, t], to logits [b, k]."""

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        ...

    def train(self, mode: bool = True) -> object:
        """Switch dropout on, or off with False."""
        ...

    def parameter_groups(self, recipe: Recipe) -> list[dict[str, object]]:
        """What trains and at which rate, as torch optimisers take it."""
        ...

    def rest_layers(self, count: int) -> None:
        """Stop training the ``count`` lowest layers."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """All parameters, each with its name."""
        ...


@dataclass(frozen=True, slots=True)
class LabelledTokens:
    """Tokenised texts with their class numbers, int64[n]."""

    texts: TokenisedTexts
    truth: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What a training did: steps, texts a second, seconds, and why it ended."""

    steps: int
    examples_per_second: float
    seconds: float
    stopped_early: bool
    resumed_from: int


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up to 1, then linear decay to 0; ``step`` counts from 0."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return max(0.0, (steps - step) / max(1, steps - rising))


def passes_of(recipe: Recipe) -> int:
    """How often a text goes through the module in a step: twice where passes are compared."""
    return 2 if recipe.consistency else 1


def parts_of(lengths: NDArray[np.int64], recipe: Recipe) -> int:
    """Into how many parts a batch is cut: memory follows the longest batch, not the usual one.

    The gradient is that of the whole batch.
    """
    padded = len(lengths) * int(lengths.max()) * passes_of(recipe)
    return min(len(lengths), max(recipe.accumulation, math.ceil(padded / recipe.part_tokens)))


def train(
    module: Trainable,
    training: LabelledTokens,
    validation: LabelledTokens | None,
    *,
    classes: int,
    recipe: Recipe,
    hardware: Hardware,
    report: ProgressReporter,
    checkpoints: Path | None = None,
    identity: str = "",
    resume: bool = False,
) -> TrainingOutcome:
    """Train in place; afterwards the module holds the (averaged) weights to use.

    With ``resume`` it goes on from the checkpoint in ``checkpoints``: order of batches, dropout
    and optimiser are as if it had never stopped. ``identity`` names data, encoder and recipe;
    a checkpoint of another identity is refused. TrainingError when the loss is not finite.
    """
    per_epoch = math.ceil(len(training.truth) / recipe.batch_size)
    epochs = recipe.epochs or epochs_for(len(training.truth))
    steps = max(1, round(per_epoch * epochs))
    groups = module.parameter_groups(recipe)
    optimiser = torch.optim.AdamW(groups, fused=True, betas=(0.9, 0.999))
    peaks = [group["lr"] for group in optimiser.param_groups]
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    average = WeightAverage(named, recipe.averaging_decay) if recipe.averaging_from else None
    scaler = hardware.gradient_scaler()
    weights = class_weights(training.truth, classes, recipe.class_weights)
    weight_tensor = None if weights is None else torch.from_numpy(weights).to(hardware.device)
    truth = torch.from_numpy(training.truth)
    torch.manual_seed(recipe.seed)
    step, best, waited = 0, math.inf, 0
    if resume and checkpoints is not None:
        found = load_checkpoint(checkpoints)
        if found is not None:
            step, best, waited = _restore(found, identity, named, optimiser, average)
            report.say(f"going on from step {step} of {steps}")
    resumed_from, started, saved = step, time.monotonic(), time.monotonic()
    lengths, stopped = training.texts.lengths, False
    report.start("training", steps * recipe.batch_size, step * recipe.batch_size)
    while step < steps and not stopped:
        epoch = step // per_epoch
        order = np.random.default_rng((recipe.seed, epoch))
        batches = training_batches(lengths, recipe.batch_size, order)
        for rows in batches[step % per_epoch : steps - epoch * per_epoch]:
            module.train()
            module.rest_layers(sum(step >= share * steps for share in recipe.freeze_at))
            factor = learning_rate_factor(step, steps, recipe.warmup)
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            loss = 0.0
            for part in np.array_split(rows, parts_of(lengths[rows], recipe)):
                passes = passes_of(recipe)
                batch = training.texts.batch(part)
                ids, mask = (t.to(hardware.device).repeat(passes, 1) for t in batch)
                with hardware.autocast():
                    logits = module(ids, mask)
                part_loss = classification_loss(
                    logits,
                    truth[part].to(hardware.device).repeat(passes),
                    weights=weight_tensor,
                    label_smoothing=recipe.label_smoothing,
                )
                if recipe.consistency:
                    apart = consistency_loss(*logits.chunk(2))
                    part_loss = part_loss + recipe.consistency * apart
                part_loss = part_loss * (len(part) / len(rows))
                scaler.scale(part_loss).backward()  # type: ignore[no-untyped-call]
                loss += float(part_loss.detach())
            if not math.isfinite(loss):
                message = f"the loss became {loss} at step {step}: lower the learning rate"
                raise TrainingError(message, step=step)
            scaler.unscale_(optimiser)
            torch.nn.utils.clip_grad_norm_(named.values(), recipe.clip_norm)
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad(set_to_none=True)
            step += 1
            if average is not None and step >= steps * recipe.averaging_from:
                average.update()
            report.advance(len(rows), loss=loss)
            report.log(event="step", step=step, epoch=step / per_epoch, loss=loss, rate=factor)
            due = time.monotonic() - saved >= recipe.checkpoint_seconds
            if checkpoints is not None and due and step < steps:
                state = {"step": step, "best": best, "waited": waited, "identity": identity}
                save_checkpoint(checkpoints, _capture(state, named, optimiser, average))
                saved = time.monotonic()
        if validation is not None:
            values = _validate(module, validation, hardware)
            report.log(event="validation", step=step, epoch=step / per_epoch, **values)
            improved = values["loss"] < best - 1e-4
            best, waited = (values["loss"], 0) if improved else (best, waited + 1)
            stopped = bool(recipe.patience) and waited >= recipe.patience
    report.finish()
    if average is not None:
        average.apply()
    if checkpoints is not None:
        remove_checkpoint(checkpoints)
    seconds = time.monotonic() - started
    seen = (step - resumed_from) * recipe.batch_size
    return TrainingOutcome(step, seen / max(seconds, 1e-9), seconds, stopped, resumed_from)


@torch.no_grad()
def predict_logits(
    module: Trainable,
    texts: TokenisedTexts,
    hardware: Hardware,
    report: ProgressReporter | None = None,
) -> NDArray[np.float32]:
    """Logits float[n, k] in the order of the texts, without dropout."""
    module.train(False)
    rows_done: list[NDArray[np.int64]] = []
    parts: list[NDArray[np.float32]] = []
    for rows in inference_batches(texts.lengths):
        ids, mask = (t.to(hardware.device) for t in texts.batch(rows))
        with hardware.autocast():
            logits = module(ids, mask)
        rows_done.append(rows)
        parts.append(logits.float().cpu().numpy())
        if report is not None:
            report.advance(len(rows))
    logits_by_row = np.concatenate(parts)
    ordered = np.empty_like(logits_by_row)
    ordered[np.concatenate(rows_done)] = logits_by_row
    return ordered


def _validate(
    module: Trainable, validation: LabelledTokens, hardware: Hardware
) -> dict[str, float]:
    logits = torch.from_numpy(predict_logits(module, validation.texts, hardware))
    truth = torch.from_numpy(validation.truth)
    return {
        "loss": float(classification_loss(logits, truth)),
        "accuracy": float((logits.argmax(1) == truth).float().mean()),
    }


def _capture(
    state: dict[str, object],
    named: dict[str, torch.nn.Parameter],
    optimiser: torch.optim.Optimizer,
    average: WeightAverage | None,
) -> Checkpoint:
    tensors = {f"weight/{name}": p.data for name, p in named.items()}
    for name, parameter in named.items():
        for key, value in optimiser.state[parameter].items():
            tensors[f"optimiser/{key}/{name}"] = value
    if average is not None:
        tensors |= {f"average/{name}": value for name, value in average.values.items()}
        state = {**state, "averaged": average.count}
    return Checkpoint({**tensors, "random": torch.get_rng_state()}, state)


def _restore(
    found: Checkpoint,
    identity: str,
    named: dict[str, torch.nn.Parameter],
    optimiser: torch.optim.Optimizer,
    average: WeightAverage | None,
) -> tuple[int, float, int]:
    if found.state["identity"] != identity:
        message = "the checkpoint belongs to other data, encoder or recipe: start without --resume"
        raise TrainingError(message, found=found.state["identity"], wanted=identity)
    for name, parameter in named.items():
        parameter.data.copy_(found.tensors[f"weight/{name}"])
        optimiser.state[parameter] = {
            key: found.tensors[f"optimiser/{key}/{name}"].to(
                "cpu" if key == "step" and not parameter.is_cuda else parameter.device
            )
            for key in ("step", "exp_avg", "exp_avg_sq")
        }
    if average is not None and found.state["averaged"]:
        average.count = found.state["averaged"]
        average.values = {name: found.tensors[f"average/{name}"] for name in named}
    torch.set_rng_state(found.tensors["random"])
    return found.state["step"], found.state["best"], found.state["waited"]
