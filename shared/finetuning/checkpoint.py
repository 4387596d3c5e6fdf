"""Checkpoints that are there whole or not at all; safetensors, never pickle."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import TrainingError

if TYPE_CHECKING:
    import torch

FILE = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors by name, and the plain state (step, losses) beside them."""

    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write one file beside, sync it, and rename it over the one before."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / FILE
    beside = folder / f".{FILE}.{os.getpid()}"
    tensors = {name: tensor.detach().contiguous() for name, tensor in checkpoint.tensors.items()}
    save_file(tensors, beside, metadata={"state": json.dumps(checkpoint.state)})
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    beside.replace(target)
    return target


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint in the folder; None when there is none, TrainingError when unreadable."""
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        return Checkpoint(tensors, json.loads(metadata["state"]))
    except (SafetensorError, KeyError, ValueError) as error:
        message = f"the checkpoint {path} cannot be read ({error}): delete it to start anew"
        raise TrainingError(message, path=str(path)) from error


def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint, as after a finished training."""
    for path in [folder / FILE, *folder.glob(f".{FILE}.*")]:
        path.unlink(missing_ok=True)
