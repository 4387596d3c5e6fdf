"""Which words of a text spoke for a class, and which against it.

Integrated gradients (Sundararajan, Taly, Yan 2017, arXiv:1703.01365) by Captum, on the output of
the word embeddings, so that any Hugging Face encoder can be explained. The path starts from the
same text with every word masked. The weights sum to the difference that the words make to the
logit of the class (completeness), up to the error of the numerical integral.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from torch import nn

from models.text_words import merge_pieces
from shared.errors import NotFound
from shared.records import TokenAttribution

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.hooks import RemovableHandle

__all__ = ["explain", "merge_pieces"]

INTEGRATION_STEPS: Final = 32
STEPS_AT_ONCE: Final = 16


class ExplainableEncoder(Protocol):
    """A Hugging Face backbone with its tokenizer."""

    tokenizer: Any
    backbone: Any
    max_length: int

    def read(self, text: str) -> str:
        """The text as it is tokenised."""
        ...


class ExplainablePredictor(Protocol):
    """What an explanation needs: ``models.text_classifier.TextPredictor`` has it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the logits."""
        ...

    @property
    def encoder(self) -> Any:
        """An ``ExplainableEncoder``."""
        ...

    def logits(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[batch, tokens] twice in; [batch, classes] out, with gradients."""
        ...


def explain(
    predictor: ExplainablePredictor, text: str, label: str, *, steps: int = INTEGRATION_STEPS
) -> list[TokenAttribution]:
    """The words of the text in order, each with its weight in units of the class's logit.

    Words beyond the encoder's longest input are left out; a word that is read as another one is
    told as that (``models.spelling``). ``steps`` points along the path are evaluated: more make the
    sum of the weights more exact. Other threads may go on predicting
    with the same model meanwhile. Raises NotFound when the model has no such class.
    """
    from captum.attr import LayerIntegratedGradients

    if label not in predictor.labels:
        raise NotFound(f"the model knows no class {label!r}", label=label)
    encoder: ExplainableEncoder = predictor.encoder
    embeddings = encoder.backbone.get_input_embeddings()
    text = encoder.read(text)
    encoded = encoder.tokenizer(
        text,
        truncation=True,
        max_length=encoder.max_length,
        return_tensors="pt",
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    device = embeddings.weight.device
    token_ids = encoded["input_ids"].to(device)
    special = encoded["special_tokens_mask"].to(device).bool()
    attributions = LayerIntegratedGradients(predictor.logits, _InThisThread(embeddings)).attribute(
        token_ids,
        baselines=token_ids.masked_fill(~special, _masked_id(encoder.tokenizer)),
        target=predictor.labels.index(label),
        additional_forward_args=(encoded["attention_mask"].to(device),),
        n_steps=steps,
        internal_batch_size=STEPS_AT_ONCE,
    )
    weights: list[float] = attributions.sum(dim=-1)[0].tolist()
    offsets = [(int(start), int(end)) for start, end in encoded["offset_mapping"][0]]
    return merge_pieces(text, offsets, weights)


def _masked_id(tokenizer: Any) -> int:
    """The id of the token that stands for "some word", or the nearest thing to it."""
    for candidate in (tokenizer.mask_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id):
        if candidate is not None:
            return int(candidate)
    return 0


class _InThisThread(nn.Module):
    """The layer, as Captum sees it: hooks fire for forward passes of the calling thread only.

    Captum replaces the layer's output through a forward hook. On the layer itself, that hook
    would also change what other threads predict with the same model at the same time.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def register_forward_hook(
        self, hook: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> RemovableHandle:
        """A hook on the real layer that looks which thread it runs in."""
        thread = threading.get_ident()

        def guarded(module: nn.Module, inputs: Any, output: Any) -> Any:
            return hook(module, inputs, output) if threading.get_ident() == thread else None

        return self.layer.register_forward_hook(guarded)
