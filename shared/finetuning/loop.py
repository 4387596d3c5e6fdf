"""Step five: the training loop, on one screen, for any module that maps tokens to logits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from shared.errors import TrainingError
from shared.finetuning.averaging import WeightAverage
from shared.finetuning.batching import (
    TokenisedTexts,
    balanced_rows,
    inference_batches,
    training_batches,
)
from shared.finetuning.checkpoint import (
    Checkpoint,
    load_checkpoint,
    remove_checkpoint,
    save_checkpoint,
)
from shared.finetuning.hardware import (
    Hardware,
    checkpoint_activations,
    compile_forward,
    is_out_of_memory,
)
from shared.finetuning.objectives import (
    Batch,
    Forward,
    Objective,
    Supervised,
    classification_loss,
)
from shared.finetuning.optimisers import make_optimiser, restore_state, state_tensors
from shared.finetuning.parallel import current_ranks
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

    @property
    def depth(self) -> int:
        """How many layers there are."""
        ...

    def rest_layers(self, count: int) -> None:
        """The ``count`` lowest layers do not train from here on; those above them do."""
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


def resting_layers(step: int, steps: int, depth: int, recipe: Recipe) -> int:
    """How many of the lowest layers do not train in this step.

    While layers are unfrozen, those that wait (Howard and Ruder, "Universal language model
    fine-tuning", 2018); later those that settled (Brock et al., "FreezeOut", 2017).
    """
    settled = sum(step >= share * steps for share in recipe.freeze_at)
    waiting = 0
    if recipe.unfreeze_until:
        waiting = math.ceil(depth * (1 - step / (steps * recipe.unfreeze_until)))
    return min(depth, max(settled, waiting, 0))


def parts_of(lengths: NDArray[np.int64], recipe: Recipe, passes: int = 1) -> int:
    """Into how many parts a batch is cut: memory follows the longest batch, not the usual one.

    The gradient is that of the whole batch. ``passes`` is how often a text goes through.
    """
    padded = len(lengths) * int(lengths.max()) * passes
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
    objective: Objective | None = None,
    variants: Callable[[int], TokenisedTexts] | None = None,
    checkpoints: Path | None = None,
    identity: str = "",
    resume: bool = False,
) -> TrainingOutcome:
    """Train in place; afterwards the module holds the (averaged) weights to use.

    ``objective`` is what is minimised: ``Supervised`` by the recipe unless another is given.
    ``variants`` gives the texts as they are read in epoch 0, 1, ..., one for each training text.

    With ``resume`` it goes on from the checkpoint in ``checkpoints``: order of batches, dropout
    and optimiser are as if it had never stopped. ``identity`` names data, encoder and recipe;
    a checkpoint of another identity is refused. TrainingError when the loss is not finite. Where
    memory does not suffice, batches are computed in twice as many parts from then on.

    In a group of processes each computes its share of every batch, and all end with the same
    weights; the first validates, logs and keeps the checkpoints.
    """
    ranks = current_ranks()
    per_epoch = math.ceil(len(training.truth) / recipe.batch_size)
    epochs = recipe.epochs or epochs_for(len(training.truth))
    steps = max(1, round(per_epoch * epochs))
    minimised = objective or Supervised.of(recipe, training.truth, classes)
    groups = module.parameter_groups(recipe)
    optimiser = make_optimiser(groups, recipe.optimiser, hardware)
    checkpoint_activations(module, recipe.gradient_checkpointing)
    forward = compile_forward(module, hardware, report.say) if recipe.compiled else module
    peaks = [group["lr"] for group in optimiser.param_groups]
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    average = WeightAverage(named, recipe.averaging_decay) if recipe.averaging_from else None
    scaler = hardware.gradient_scaler()
    torch.manual_seed(recipe.seed)
    step, best, waited, finer = 0, math.inf, 0, 1
    if resume and checkpoints is not None:
        found = load_checkpoint(checkpoints)
        if found is not None:
            step, best, waited, finer = _restore(found, identity, named, optimiser, average)
            report.say(f"going on from step {step} of {steps}")
    ranks.agree(examples=len(training.truth), steps=steps, step=step)
    ranks.alike(named.values())
    resumed_from, started, saved = step, time.monotonic(), time.monotonic()
    stopped = False
    report.start("training", steps * recipe.batch_size, step * recipe.batch_size)
    while step < steps and not stopped:
        epoch = step // per_epoch
        read = training if variants is None else LabelledTokens(variants(epoch), training.truth)
        batches = _batches_of(read, recipe, epoch)
        for rows in batches[step % per_epoch : steps - epoch * per_epoch]:
            module.train()
            module.rest_layers(resting_layers(step, steps, module.depth, recipe))
            factor = learning_rate_factor(step, steps, recipe.warmup)
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            ranks.draw_for(recipe.seed, step)
            loss, finer = _backward(
                module, forward, minimised, read, ranks.share(rows), len(rows), recipe, finer,
                (step, steps), hardware, scaler, report,
            )  # fmt: skip
            loss = ranks.sum_gradients(named.values(), loss)
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
            if checkpoints is not None and due and step < steps and ranks.first:
                place = {"step": step, "best": best, "waited": waited, "finer": finer}
                state = {**place, "identity": identity}
                save_checkpoint(checkpoints, _capture(state, named, optimiser, average))
                saved = time.monotonic()
        if validation is not None:
            values = ranks.of_first(partial(_validate, module, validation, hardware))
            report.log(event="validation", step=step, epoch=step / per_epoch, **values)
            improved = values["loss"] < best - 1e-4
            best, waited = (values["loss"], 0) if improved else (best, waited + 1)
            stopped = bool(recipe.patience) and waited >= recipe.patience
    report.finish()
    if average is not None:
        average.apply()
    if checkpoints is not None and ranks.first:
        remove_checkpoint(checkpoints)
    seconds = time.monotonic() - started
    seen = (step - resumed_from) * recipe.batch_size
    return TrainingOutcome(step, seen / max(seconds, 1e-9), seconds, stopped, resumed_from)


def _batches_of(read: LabelledTokens, recipe: Recipe, epoch: int) -> list[NDArray[np.int64]]:
    """Row numbers by batch for one epoch; the same for one seed and epoch."""
    order = np.random.default_rng((recipe.seed, epoch))
    if recipe.sampling == "all":
        return training_batches(read.texts.lengths, recipe.batch_size, order)
    drawn = balanced_rows(read.truth, order)
    lengths = read.texts.lengths[drawn]
    return [drawn[rows] for rows in training_batches(lengths, recipe.batch_size, order)]


def _backward(
    module: Trainable,
    forward: Forward,
    objective: Objective,
    training: LabelledTokens,
    rows: NDArray[np.int64],
    whole: int,
    recipe: Recipe,
    finer: int,
    place: tuple[int, int],
    hardware: Hardware,
    scaler: torch.amp.GradScaler,
    report: ProgressReporter,
) -> tuple[float, int]:
    """What ``rows`` add to the mean loss of a batch of ``whole``, and into how much finer parts.

    The gradient is left in the weights. A batch that memory does not hold is computed again in
    twice as many parts.
    """
    if not len(rows):
        return 0.0, finer
    parts = parts_of(training.texts.lengths[rows], recipe, objective.passes)
    while True:
        loss = 0.0
        try:
            for part in np.array_split(rows, min(len(rows), parts * finer)):
                ids, mask = (t.to(hardware.device) for t in training.texts.batch(part))
                truth = torch.from_numpy(training.truth[part]).to(hardware.device)
                with hardware.autocast():
                    part_loss = objective(forward, Batch(ids, mask, truth, part, *place))
                part_loss = part_loss * (len(part) / whole)
                scaler.scale(part_loss).backward()  # type: ignore[no-untyped-call]
                loss += float(part_loss.detach())
            return loss, finer
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or parts * finer >= len(rows):
                raise
        finer *= 2
        for _, parameter in module.named_parameters():
            parameter.grad = None
        hardware.free_memory()
        report.say(f"out of memory: batches are computed in {finer} times as many parts from here")


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
    remembered = state_tensors(optimiser, named)
    tensors |= {f"optimiser/{name}": value for name, value in remembered.items()}
    if average is not None:
        tensors |= {f"average/{name}": value for name, value in average.values.items()}
        state = {**state, "averaged": average.count}
    tensors["random"] = torch.get_rng_state()
    if any(parameter.is_cuda for parameter in named.values()):
        tensors["random_gpu"] = torch.cuda.get_rng_state()
    return Checkpoint(tensors, state)


def _restore(
    found: Checkpoint,
    identity: str,
    named: dict[str, torch.nn.Parameter],
    optimiser: torch.optim.Optimizer,
    average: WeightAverage | None,
) -> tuple[int, float, int, int]:
    if found.state["identity"] != identity:
        message = "the checkpoint belongs to other data, encoder or recipe: start without --resume"
        raise TrainingError(message, found=found.state["identity"], wanted=identity)
    for name, parameter in named.items():
        parameter.data.copy_(found.tensors[f"weight/{name}"])
    begins = "optimiser/"
    remembered = {
        k.removeprefix(begins): v for k, v in found.tensors.items() if k.startswith(begins)
    }
    restore_state(optimiser, named, remembered)
    if average is not None and found.state["averaged"]:
        average.count = found.state["averaged"]
        average.values = {name: found.tensors[f"average/{name}"] for name in named}
    torch.set_rng_state(found.tensors["random"])
    if "random_gpu" in found.tensors:
        torch.cuda.set_rng_state(found.tensors["random_gpu"])
    state = found.state
    return state["step"], state["best"], state["waited"], state["finer"]
