"""The head that guesses hidden tokens: an encoder's own where its files hold one, or a new one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn


class MaskedLanguageHead(nn.Module):
    """From hidden states to the space of the word embeddings, as BERT has it.

    A new one starts as nearly nothing but a normalisation.
    """

    def __init__(self, dimensions: int, embedding_dimensions: int) -> None:
        super().__init__()
        self.transform = nn.Linear(dimensions, embedding_dimensions)
        nn.init.eye_(self.transform.weight)
        nn.init.zeros_(self.transform.bias)
        self.norm = nn.LayerNorm(embedding_dimensions)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """States [m, embedding dimensions] of hidden states [m, dimensions]."""
        states: torch.Tensor = self.norm(nn.functional.gelu(self.transform(hidden)))
        return states


def word_embeddings(backbone: nn.Module) -> torch.Tensor:
    """An encoder's word embeddings, [vocabulary, embedding dimensions]."""
    weight: torch.Tensor = backbone.get_input_embeddings().weight  # type: ignore[operator]
    return weight


def new_head(backbone: nn.Module) -> MaskedLanguageHead:
    """A head for an encoder whose files hold none."""
    config: Any = backbone.config
    return MaskedLanguageHead(int(config.hidden_size), word_embeddings(backbone).shape[1])


@dataclass(frozen=True, slots=True)
class PretrainedHead:
    """A head out of an encoder's files, and the vectors that its states are compared with.

    ``words`` float32 [vocabulary, embedding dimensions] are the head's own where the files have
    some, and the word embeddings where the two are tied.
    """

    head: MaskedLanguageHead
    words: torch.Tensor


def pretrained_head(source: str | Path) -> PretrainedHead | None:
    """The head in an encoder's files, or None: sentence encoders come without one.

    All families whose head is one linear map, GELU and a layer normalisation are understood.
    """
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging

    # That weights of the head may be missing is what is asked here, and no matter for a warning.
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        model, found = AutoModelForMaskedLM.from_pretrained(  # nosec B615
            str(source),
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError):
        return None
    finally:
        logging.set_verbosity(verbosity)
    body = model.base_model
    inside = {id(module) for module in body.modules()}
    decoder = model.get_output_embeddings()
    parts = [
        (name, module)
        for name, module in model.named_modules()
        if id(module) not in inside and module is not decoder
    ]
    linear = [(n, m) for n, m in parts if isinstance(m, nn.Linear)]
    norms = [(n, m) for n, m in parts if isinstance(m, nn.LayerNorm)]
    config = model.config
    act = getattr(config, "hidden_act", None) or getattr(config, "activation", None)
    act = getattr(config, "classifier_activation", None) or act
    if len(linear) != 1 or len(norms) != 1 or act != "gelu":
        return None
    missing = set(found["missing_keys"])
    if any(key.startswith((linear[0][0], norms[0][0])) for key in missing):
        return None
    words = decoder.weight
    tied = words is model.get_input_embeddings().weight
    output = next(name for name, module in model.named_modules() if module is decoder)
    if not tied and f"{output}.weight" in missing:
        return None
    transform, norm = linear[0][1], norms[0][1]
    head = MaskedLanguageHead(transform.in_features, transform.out_features)
    with torch.no_grad():
        head.transform.weight.copy_(transform.weight)
        if transform.bias is not None:
            head.transform.bias.copy_(transform.bias)
        head.norm.weight.copy_(norm.weight)
        if norm.bias is not None:
            head.norm.bias.copy_(norm.bias)
    head.norm.eps = norm.eps
    return PretrainedHead(head, words.detach().clone())
