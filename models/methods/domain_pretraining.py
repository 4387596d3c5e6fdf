"""Masked-language training of a text encoder on the user's own text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from models.encoder import TextEncoder
from models.masked_language import MaskedLanguageHead, new_head, word_embeddings
from models.methods.task import FittingTask
from shared.errors import EncoderError, TrainingError
from shared.finetuning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from shared.finetuning.domain_pretraining import MaskedLanguage, Masking
from shared.finetuning.loop import LabelledTokens, train
from shared.finetuning.parallel import current_ranks
from shared.finetuning.recipe import Recipe
from shared.records import fingerprint

HEAD = "masked_language_head."
"""Stands before the names of the head's weights in a checkpoint."""


class MaskedLanguageModel(nn.Module):
    """An encoder with a head that guesses tokens; the output matrix is the word embeddings.

    These rest, as in the encoder itself.
    """

    def __init__(self, encoder: TextEncoder, head: MaskedLanguageHead | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        words = word_embeddings(encoder.backbone)
        self.head = head or new_head(encoder.backbone)
        self.bias = nn.Parameter(torch.zeros(len(words)))
        # Logits of a few units at the start, whatever the size of the embeddings.
        self.scale = nn.Parameter(1.0 / (words.std() * words.shape[1] ** 0.5).detach())

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits float32 [b * t, vocabulary] of every place."""
        everywhere = torch.ones_like(attention_mask, dtype=torch.bool)
        return self.guess(input_ids, attention_mask, everywhere)[0]

    def guess(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, chosen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [m, vocabulary] of the chosen places, and unit vectors [b, dimensions]."""
        caught: list[torch.Tensor] = []
        # The encoder gives pooled vectors alone; the states of the tokens are caught on their way.
        handle = self.encoder.backbone.register_forward_hook(
            lambda _, __, output: caught.append(output.last_hidden_state)
        )
        try:
            vectors: torch.Tensor = self.encoder(input_ids, attention_mask)
        finally:
            handle.remove()
        states = self.head(caught[0].float()[chosen])
        return self.scale * (states @ word_embeddings(self.encoder.backbone).T) + self.bias, vectors

    def parameter_groups(self, recipe: Recipe) -> list[dict[str, object]]:
        """The layers and the head train; embeddings and pooler rest."""
        encoder = self.encoder
        encoder.requires_grad_(False)
        encoder.layers.requires_grad_(True)
        body = [p for p in encoder.parameters() if p.requires_grad]
        head = [*self.head.parameters(), self.bias, self.scale]
        rate, decay = recipe.learning_rate, recipe.weight_decay
        return [
            {"params": head, "lr": recipe.head_learning_rate, "weight_decay": 0.0},
            {"params": [p for p in body if p.ndim > 1], "lr": rate, "weight_decay": decay},
            {"params": [p for p in body if p.ndim <= 1], "lr": rate, "weight_decay": 0.0},
        ]

    @property
    def depth(self) -> int:
        """How many layers the encoder has."""
        return len(self.encoder.layers)

    def rest_layers(self, count: int) -> None:
        """All layers train all the time: the stage's recipe rests none."""


def pretrain(
    encoder: TextEncoder,
    task: FittingTask,
    head: MaskedLanguageHead | None = None,
    *,
    name: str = "domain",
) -> TextEncoder:
    """The encoder, trained in place on the unlabelled and the training texts.

    A ``head`` that is given learns with it. Held-out texts are not read. What came out is kept
    beside the checkpoints of the stage ``name``, so that a resumed training does not do it again.
    EncoderError for a tokenizer without a mask token.
    """
    settings = task.recipe.domain
    texts = texts_of(task)
    stage = task.at_stage(
        name,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        freeze_at=(),
        unfreeze_until=0.0,
        sampling="all",
        patience=0,
    )
    tokenizer = encoder.tokenizer
    if tokenizer.mask_token_id is None:
        raise EncoderError(
            f"the tokenizer of {encoder.name!r} has no mask token: it cannot be trained on text "
            "without labels",
            encoder=encoder.name,
        )
    identity = _identity(texts, stage)
    place = None if stage.checkpoints is None else stage.checkpoints / "finished"
    if place is not None and task.resume and (found := load_checkpoint(place)) is not None:
        if found.state["identity"] != identity:
            raise TrainingError(
                "the checkpoint belongs to other data, encoder or recipe: start without --resume",
                path=str(place),
            )
        _restore(found.tensors, encoder, head)
        return encoder
    masking = Masking(
        special=tuple(tokenizer.all_special_ids),
        mask_id=int(tokenizer.mask_token_id),
        vocabulary=len(word_embeddings(encoder.backbone)),
        share=settings.masked,
    )
    before = encoder.embed(texts, hardware=task.hardware)
    tokens = encoder.tokenise(texts)
    torch.manual_seed(task.recipe.seed)
    model = MaskedLanguageModel(encoder, head).to(task.hardware.device)
    encoder.set_dropout(task.recipe.dropout, task.recipe.attention_dropout)
    task.report.say(f"masked-language training on {len(texts):,} texts")
    train(
        model,
        LabelledTokens(tokens, np.zeros(len(texts), dtype=np.int64)),
        None,
        classes=1,
        recipe=stage.recipe,
        hardware=task.hardware,
        report=task.report,
        objective=MaskedLanguage(model.guess, masking, before, settings.hold),
        checkpoints=stage.checkpoints,
        identity=identity,
        resume=task.resume,
    )
    moved = 1 - (encoder.embed(texts, hardware=task.hardware) * before).sum(axis=1).mean()
    task.report.say(f"sentence vectors moved by {moved:.3f} of cosine on average")
    encoder.requires_grad_(True)
    if place is not None and current_ranks().first:
        tensors = dict(encoder.backbone.state_dict())
        if head is not None:
            tensors |= {f"{HEAD}{key}": tensor for key, tensor in head.state_dict().items()}
        save_checkpoint(place, Checkpoint(tensors, {"identity": identity}))
    return encoder


def _restore(
    tensors: Mapping[str, torch.Tensor], encoder: TextEncoder, head: MaskedLanguageHead | None
) -> None:
    heads = {key.removeprefix(HEAD): t for key, t in tensors.items() if key.startswith(HEAD)}
    body = {key: t for key, t in tensors.items() if not key.startswith(HEAD)}
    encoder.backbone.load_state_dict(body)
    if head is not None:
        head.load_state_dict(heads)


def texts_of(task: FittingTask) -> list[str]:
    """What is read: training texts, of a class or not, then unlabelled ones, none twice."""
    unique: dict[str, str] = {}
    for text in (*(example.text for example in task.splits.train), *task.unlabelled):
        unique.setdefault(fingerprint(text), text)
    return list(unique.values())


def _identity(texts: Sequence[str], stage: FittingTask) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode(errors="replace") + b"\x00")
    recipe = stage.recipe
    fields = recipe.model_dump(mode="json", exclude={"checkpoint_seconds", "target_error"})
    digest.update(json.dumps([fields, stage.encoder], sort_keys=True).encode())
    return digest.hexdigest()
