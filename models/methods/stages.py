"""Stages of a training that has several: what is finished is kept, and not trained again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import torch

from models.methods.task import FittingTask
from shared.errors import TrainingError
from shared.finetuning.checkpoint import (
    Checkpoint,
    load_checkpoint,
    remove_checkpoint,
    save_checkpoint,
)
from shared.finetuning.parallel import current_ranks
from shared.records import Example

FINISHED = "finished"


def stage_identity(task: FittingTask, examples: Sequence[Example], more: str = "") -> str:
    """What a stage's result depends on: texts, labels, recipe and whatever ``more`` tells."""
    digest = hashlib.blake2b(digest_size=16)
    for example in examples:
        digest.update(f"{example.key}\x00{example.label}\n".encode())
    settings = task.recipe.model_dump(exclude={"checkpoint_seconds", "target_error"}, mode="json")
    digest.update(json.dumps([settings, task.encoder, more], sort_keys=True).encode())
    return digest.hexdigest()


def finished_stage(stage: FittingTask, identity: str) -> dict[str, torch.Tensor] | None:
    """What the stage left when it was finished, for a resumed training; None when it was not.

    TrainingError when it belongs to other data, encoder or recipe.
    """
    if stage.checkpoints is None or not stage.resume:
        return None
    found = load_checkpoint(stage.checkpoints / FINISHED)
    if found is None:
        return None
    if found.state["identity"] != identity:
        message = (
            "a finished stage belongs to other data, encoder or recipe: start without --resume"
        )
        raise TrainingError(message, found=found.state["identity"], wanted=identity)
    return found.tensors


def keep_stage(stage: FittingTask, identity: str, tensors: dict[str, torch.Tensor]) -> None:
    """Keep the tensors of a finished stage until the whole training is over."""
    if stage.checkpoints is not None and current_ranks().first:
        where = stage.checkpoints / FINISHED
        save_checkpoint(where, Checkpoint(tensors, {"identity": identity}))


def forget_stages(task: FittingTask) -> None:
    """Remove what stages left, as after a finished training or before a new one."""
    if task.checkpoints is not None:
        for folder in list(task.checkpoints.rglob(FINISHED)):
            remove_checkpoint(folder)
