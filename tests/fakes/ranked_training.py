"""One process of a data-parallel training on a tiny encoder; what it ends with goes to a file.

    python -m tests.fakes.ranked_training FOLDER [DIE_AT_STEP]

``RANK`` and ``WORLD_SIZE`` say which of how many it is, as torchrun does; without them it is alone.
The encoder is read from FOLDER/encoder, checkpoints stand in FOLDER/checkpoints.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from models.encoder_store import load_encoder
from models.scale.training import rank_group
from models.text_classifier import ClassificationHead, TextClassifier
from shared.finetuning.hardware import Hardware
from shared.finetuning.loop import LabelledTokens, predict_logits, train
from shared.finetuning.parallel import current_ranks
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe

CPU = Hardware("cpu", "fp32", "test")
TEXTS = [
    f"{cue} {filler} {more}"
    for filler in ("please", "where", "my order", "the shop", "hello")
    for more in ("", "today again", "i want an answer to this now")
    for cue in ("refund", "parcel", "invoice")
]
"""45 texts of three classes: the last batch of 8 has 5, and of 4 has 1, for two processes."""


class Killed(SilentProgress):
    """Ends the process as kill -9 does, once a step was logged."""

    def __init__(self, step: int | None) -> None:
        super().__init__()
        self.step = step

    def log(self, **event: object) -> None:
        super().log(**event)
        if event["event"] == "step" and event["step"] == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def trained(folder: Path, *, die_at: int | None = None, resume: bool = False) -> np.ndarray:
    """Logits float32[45, 3] after eight epochs; the same for any number of processes."""
    encoder = load_encoder(folder / "encoder")
    torch.manual_seed(current_ranks().rank)  # weights differ until the first rank's are taken
    head = ClassificationHead(torch.randn(3, encoder.dimensions), torch.zeros(3), 10.0, cosine=True)
    classifier = TextClassifier(encoder, head)
    truth = np.arange(len(TEXTS), dtype=np.int64) % 3
    training = LabelledTokens(encoder.tokenise(TEXTS), truth)
    recipe = make_recipe(
        epochs=8, batch_size=4, learning_rate=3e-3, dropout=0, checkpoint_seconds=0,
        freeze_at=(), patience=8, consistency=0,
    )  # fmt: skip
    encoder.set_dropout(recipe.dropout, recipe.attention_dropout)
    train(
        classifier, training, training, classes=3, recipe=recipe, hardware=CPU,
        report=Killed(die_at), checkpoints=folder / "checkpoints", identity="x", resume=resume,
    )  # fmt: skip
    return predict_logits(classifier, training.texts, CPU)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    with rank_group():
        ranks = current_ranks()
        logits = trained(
            place, die_at=int(sys.argv[2]) if len(sys.argv) > 2 else None,
            resume="RESUME" in os.environ,
        )  # fmt: skip
        np.save(place / f"logits-{ranks.rank}-of-{ranks.size}.npy", logits)
