"""What is put around a text before the encoder reads it: a cloze, or trained vectors.

A prompt works on embeddings, so that the rest of the house (tokens, batches, explanations) sees the
text alone. ``SoftPrompt`` puts trained vectors between the start marker and the text; states at
their places are left out again. ``Cloze`` puts the words of a template around the text, and gives
what the masked-language head makes of the gap in it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.masked_language import MaskedLanguageHead
from shared.errors import EncoderError
from shared.finetuning.prompts import split_template

CONFIGURATION = "triptych_prompt.json"
WEIGHTS = "triptych_prompt.safetensors"


class SoftPrompt(nn.Module):
    """Trained vectors [tokens, embedding dimensions] before every text."""

    def __init__(self, vectors: torch.Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(vectors.detach().float().clone())

    @property
    def length(self) -> int:
        """How many places it takes."""
        return len(self.vectors)

    def states(
        self, backbone: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        """Hidden states [b, t, d] of the tokens of the texts, read with the prompt before them."""
        empty = self.vectors[:0]
        hidden = _read_around(backbone, input_ids, attention_mask, self.vectors, empty)
        return torch.cat([hidden[:, :1], hidden[:, 1 + self.length :]], dim=1)


class Cloze(nn.Module):
    """A template with a gap around every text; ``before`` and ``after`` are its token ids.

    ``centre`` [embedding dimensions] is what the head makes of the gap whatever the text: it is
    taken away, as calibration takes away what a template says by itself.
    """

    centre: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor

    def __init__(
        self, template: str, before: Sequence[int], after: Sequence[int], mask_id: int,
        head: MaskedLanguageHead,
    ) -> None:  # fmt: skip
        super().__init__()
        self.template = template
        self.head = head
        self.register_buffer("before", torch.tensor(before, dtype=torch.long), persistent=False)
        self.register_buffer("after", torch.tensor(after, dtype=torch.long), persistent=False)
        self.register_buffer("centre", torch.zeros(head.transform.out_features))
        self.in_front = mask_id in before
        self.gap = (list(before) if self.in_front else list(after)).index(mask_id)

    @classmethod
    def of(cls, template: str, tokenizer: Any, name: str, head: MaskedLanguageHead) -> Cloze:
        """The template in the tokens of this tokenizer.

        SettingsError for a template without text or gap, EncoderError without a mask token.
        """
        mask_id = mask_token(tokenizer, name)
        before, after = (
            tokenizer(
                part.rstrip().replace("{mask}", tokenizer.mask_token), add_special_tokens=False
            )["input_ids"]
            for part in split_template(template)
        )
        return cls(template, before, after, mask_id, head)

    @property
    def length(self) -> int:
        """How many places it takes."""
        return len(self.before) + len(self.after)

    def states(
        self, backbone: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        """What the masked-language head makes of the gap, [b, embedding dimensions], seen from the
        centre.
        """
        words = backbone.get_input_embeddings().weight  # type: ignore[operator]
        hidden = _read_around(
            backbone, input_ids, attention_mask, words[self.before], words[self.after]
        )
        ends = attention_mask.sum(dim=1) - 1
        place = torch.full_like(ends, 1) if self.in_front else ends + len(self.before)
        rows = torch.arange(len(hidden), device=hidden.device)
        states: torch.Tensor = self.head(hidden[rows, place + self.gap].float())
        return states - self.centre


def mask_token(tokenizer: Any, name: str) -> int:
    """The id of the tokenizer's mask token; EncoderError where it has none."""
    if tokenizer.mask_token_id is None:
        message = f"the tokenizer of {name!r} has no mask token: there is nothing to fill in"
        raise EncoderError(message, encoder=name)
    return int(tokenizer.mask_token_id)


def refuse_closed(backbone: nn.Module, name: str) -> None:
    """EncoderError for a family that takes token ids alone: nothing can be put around a text."""
    if "inputs_embeds" not in inspect.signature(backbone.forward).parameters:
        raise EncoderError(
            f"{name!r} takes no embeddings in place of token ids: it can have no prompt",
            encoder=name,
        )


def save_prompt(prompt: SoftPrompt | Cloze, folder: Path) -> None:
    """Write weights (safetensors) and what kind it is."""
    from safetensors.torch import save_file

    tensors = {name: t.detach().cpu().contiguous() for name, t in prompt.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    kind: dict[str, object] = {"kind": "soft"}
    if isinstance(prompt, Cloze):
        epsilon = prompt.head.norm.eps
        kind = {"kind": "cloze", "template": prompt.template, "epsilon": epsilon}
    text = json.dumps(kind, ensure_ascii=False, indent=1)
    (folder / CONFIGURATION).write_text(text, encoding="utf-8")


def load_prompt(folder: Path, tokenizer: Any, name: str) -> SoftPrompt | Cloze | None:
    """The prompt in the folder of the encoder ``name``; None where it has none.

    EncoderError when it is broken.
    """
    if not (folder / CONFIGURATION).is_file():
        return None
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        kind = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
        if kind["kind"] == "soft":
            return SoftPrompt(tensors["vectors"])
        down, up = tensors["head.transform.weight"].shape[::-1]
        head = MaskedLanguageHead(down, up)
        head.norm.eps = float(kind["epsilon"])
        cloze = Cloze.of(kind["template"], tokenizer, name, head)
        cloze.load_state_dict(tensors)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        message = f"the prompt in {folder} cannot be read: {error}"
        raise EncoderError(message, path=str(folder)) from error
    return cloze


def _read_around(
    backbone: nn.Module,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    before: torch.Tensor,
    after: torch.Tensor,
) -> torch.Tensor:
    """Hidden states [b, t + p, d] of texts [b, t] with vectors behind the start marker and before
    the end marker; padding stays at the end.
    """
    texts = backbone.get_input_embeddings()(input_ids)  # type: ignore[operator]
    count, width, dimensions = texts.shape
    front, added = len(before), len(before) + len(after)
    ends = attention_mask.sum(dim=1) - 1
    place = torch.arange(width, device=input_ids.device).expand(count, width)
    place = place + front * (place > 0) + len(after) * (place >= ends[:, None].clamp(min=1))
    rows = torch.arange(count, device=input_ids.device)[:, None]
    whole = texts.new_zeros(count, width + added, dimensions)
    whole = whole.index_put((rows, place), texts)
    if front:
        whole = torch.cat(
            [whole[:, :1], before.to(texts.dtype).expand(count, -1, -1), whole[:, 1 + front :]],
            dim=1,
        )
    if len(after):
        behind = ends.clamp(min=1)[:, None] + front + torch.arange(len(after), device=ends.device)
        whole = whole.index_put((rows, behind), after.to(texts.dtype).expand(count, -1, -1))
    seen = torch.arange(width + added, device=ends.device) <= ends[:, None] + added
    output = backbone(inputs_embeds=whole, attention_mask=seen.to(attention_mask.dtype))
    states: torch.Tensor = output.last_hidden_state
    return states
