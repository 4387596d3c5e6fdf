"""Step two: the pre-trained model. Any Hugging Face encoder turns texts into vectors.

``models.encoder_store`` reads encoders from their files and writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.fewer_heads import layers_of
from models.prompt import Cloze, SoftPrompt, refuse_closed
from models.spelling import Spelling, load_spelling
from models.target_marks import TargetMarks
from shared.errors import EncoderError
from shared.finetuning.batching import TokenisedTexts, inference_batches
from shared.finetuning.dropout import ByteDropout
from shared.finetuning.hardware import Hardware
from shared.finetuning.low_rank import LowRankSettings
from shared.finetuning.progress import ProgressReporter

Pooling = Literal["mean", "first"]


class TextEncoder(nn.Module):
    """A transformer, its tokenizer, and the pooling that makes one unit vector of a text."""

    def __init__(
        self, name: str, backbone: nn.Module, tokenizer: Any, max_length: int, pooling: Pooling
    ) -> None:
        super().__init__()
        self.name = name
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.pooling: Pooling = pooling
        self.marks: TargetMarks | None = None
        self.adapters: LowRankSettings | None = None
        self.prompt: SoftPrompt | Cloze | None = None
        self.spelling: Spelling | None = None
        self.dimensions = int(backbone.config.hidden_size)  # type: ignore[union-attr,arg-type]

    def pool_marked_spans(self) -> None:
        """From here on pool a text over its spans in square brackets, where it has some.

        The vector is then of what is marked, read in its context; see ``TargetMarks``.
        """
        self.marks = TargetMarks.of(self.tokenizer, self.name)

    def attach(self, prompt: SoftPrompt | Cloze) -> None:
        """From here on read every text with the prompt around it; texts are cut to leave it room.

        A cloze is read at its gap, whatever the pooling.
        """
        refuse_closed(self.backbone, self.name)
        self.prompt = prompt
        places = positions_of(self.backbone.config)
        if places is not None:
            room = places - prompt.length
            if room < 4:
                raise EncoderError(
                    f"{self.name!r} reads {places} tokens: a prompt of {prompt.length} leaves no "
                    "room for a text",
                    encoder=self.name,
                )
            self.max_length = min(self.max_length, room)
        if isinstance(prompt, Cloze):
            self.dimensions = prompt.head.transform.out_features

    def learn_spelling(self, texts: Sequence[str]) -> None:
        """From here on a word that neither these texts nor the vocabulary know is read as the
        nearest that they do; words learnt earlier stay known. See ``models.spelling``.
        """
        self.spelling = Spelling.learnt(texts, self.tokenizer.get_vocab(), self.spelling)

    def find_spelling(self, folder: Path) -> None:
        """Take the spelling that ``save`` left in a folder, where there is one."""
        self.spelling = load_spelling(folder, self.tokenizer.get_vocab)

    def read(self, text: str) -> str:
        """The text as it is tokenised: itself, unless a spelling was learnt."""
        return text if self.spelling is None else self.spelling.read(text)

    def tokenise(self, texts: Sequence[str]) -> TokenisedTexts:
        """Token ids of each text, cut at ``max_length`` with the end marker kept."""
        ids = self.tokenizer(
            [self.read(text) for text in texts],
            truncation=True,
            max_length=self.max_length,
            padding=False,
        )["input_ids"]
        return TokenisedTexts.of(ids, int(self.tokenizer.pad_token_id))

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of whole texts, not cut and without special tokens."""
        found: list[list[int]] = self.tokenizer(
            list(texts), add_special_tokens=False, truncation=False, verbose=False
        )["input_ids"]
        return found

    @property
    def unknown_id(self) -> int | None:
        """The id of what the vocabulary lacks, where there is one."""
        found: int | None = self.tokenizer.unk_token_id
        return found

    @property
    def room(self) -> int:
        """Tokens of a text before it is cut, special tokens not counted."""
        return self.max_length - int(self.tokenizer.num_special_tokens_to_add())

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Unit vectors float32 [b, dimensions] of token ids and mask, both [b, t]."""
        with self._precision(input_ids.device.type):
            if isinstance(self.prompt, Cloze):
                gaps = self.prompt.states(self.backbone, input_ids, attention_mask)
                return nn.functional.normalize(gaps.float(), dim=-1)
            if self.prompt is not None:
                hidden = self.prompt.states(self.backbone, input_ids, attention_mask).float()
            else:
                hidden = self.backbone(
                    input_ids=input_ids, attention_mask=attention_mask
                ).last_hidden_state.float()
        pooled = hidden[:, 0] if self.pooling == "first" else _mean(hidden, attention_mask)
        if self.marks is not None:
            inside = self.marks.inside(input_ids, attention_mask)
            marked = inside.any(dim=1, keepdim=True)
            pooled = torch.where(marked, _mean(hidden, inside), pooled)
        return nn.functional.normalize(pooled, dim=-1)

    def _precision(self, device: str) -> AbstractContextManager[object]:
        """That around it, or float32 for families whose code fits no other."""
        family = getattr(self.backbone.config, "model_type", "")
        return torch.autocast(device, enabled=False) if family in _FLOAT32 else nullcontext()

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers, lowest first."""
        return layers_of(self.backbone, self.name)

    @property
    def embedding(self) -> nn.Module:
        """The part below the layers; the word embeddings alone where it has no module."""
        part = getattr(self.backbone, "embeddings", None)
        return part if isinstance(part, nn.Module) else self.backbone.get_input_embeddings()  # type: ignore[operator]

    @torch.no_grad()
    def embed(
        self,
        texts: Sequence[str],
        *,
        hardware: Hardware | None = None,
        report: ProgressReporter | None = None,
    ) -> NDArray[np.float32]:
        """Unit vectors float32 [n, dimensions] in the order of the texts, without dropout."""
        tokens = self.tokenise(texts) if texts else None
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        if tokens is None:
            return vectors
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        for rows in inference_batches(tokens.lengths):
            ids, mask = (part.to(device) for part in tokens.batch(rows))
            if hardware is None:
                pooled = self(ids, mask)
            else:
                with hardware.autocast():
                    pooled = self(ids, mask)
            vectors[rows] = pooled.float().cpu().numpy()
            if report is not None:
                report.advance(len(rows))
        self.train(was_training)
        return vectors

    def set_dropout(self, hidden: float, attention: float) -> None:
        """Set the dropout of hidden states and of attention weights, whatever the architecture."""
        for path, module in list(self.backbone.named_modules()):
            if "lora_dropout" in path:
                continue
            for attribute in ("dropout_prob", "attention_dropout"):
                if isinstance(getattr(module, attribute, None), float):
                    setattr(module, attribute, attention)
            if isinstance(module, nn.Dropout | ByteDropout):
                rate = attention if path.endswith(_ATTENTION_DROPOUT) else hidden
                self.backbone.set_submodule(path, ByteDropout(rate))


_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"})
"""Families whose positions start behind the padding id, so two of them cannot be used."""

_FLOAT32 = frozenset({"deberta"})
"""Families that mask attention with a number beyond what bf16 holds."""

_ATTENTION_DROPOUT = ("attention.self.dropout", "attention.attn.dropout", "attention.dropout")


def positions_of(config: Any) -> int | None:
    """How many tokens the family's positions hold; None where the configuration does not say."""
    longest = getattr(config, "max_position_embeddings", None)
    offset = 2 if getattr(config, "model_type", "") in _OFFSET_POSITIONS else 0
    return int(longest) - offset if longest else None


def _mean(hidden: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The mean [b, d] of the hidden states [b, t, d] that are chosen [b, t]."""
    weights = chosen.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1.0)
