"""Where the square brackets of a text are among its tokens: what a text is asked about.

A vector pooled over the marked tokens follows what is said of the target, where one pooled over the
whole text follows the text. Source: Wu and He, "Enriching pre-trained language model with entity
information for relation classification", 2019, arXiv:1905.08284 (entity marks and entity pooling).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from shared.errors import EncoderError

_SPELLINGS = ("{}", "\u0120{}", "\u2581{}")
"""How vocabularies write a token: bare, after a space in byte-level BPE, and in SentencePiece."""


@dataclass(frozen=True, slots=True)
class TargetMarks:
    """The token ids of the opening and the closing bracket."""

    opening: tuple[int, ...]
    closing: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Any, name: str) -> TargetMarks:
        """The marks of a tokenizer; EncoderError where a bracket is no token of its own."""
        vocabulary: dict[str, int] = tokenizer.get_vocab()

        def ids(bracket: str) -> tuple[int, ...]:
            written = (spelling.format(bracket) for spelling in _SPELLINGS)
            return tuple(vocabulary[token] for token in written if token in vocabulary)

        marks = cls(ids("["), ids("]"))
        if not marks.opening or not marks.closing:
            raise EncoderError(
                f"the tokenizer of {name!r} has no square brackets: targets cannot be marked",
                encoder=name,
            )
        return marks

    def inside(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Which tokens stand in brackets, these included: bool [b, t] of ids and mask [b, t].

        A bracket that is never closed marks up to the end of the text, which may have been cut.
        """
        opens = _among(input_ids, self.opening)
        closes = _among(input_ids, self.closing)
        depth = opens.long().cumsum(1) - closes.long().cumsum(1)
        return ((depth > 0) | (closes & (opens.long().cumsum(1) > 0))) & attention_mask.bool()


def _among(input_ids: torch.Tensor, wanted: tuple[int, ...]) -> torch.Tensor:
    # torch.isin has no form in an ONNX graph.
    return (input_ids.unsqueeze(-1) == torch.tensor(wanted, device=input_ids.device)).any(-1)
