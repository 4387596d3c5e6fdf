"""Continued masked-language training on the user's own text, before anything is fine-tuned.

Some tokens are hidden and guessed from the rest: the encoder learns the words of the domain. A
sentence encoder would lose the geometry of its sentence vectors on the way; so the vector of the
text with its gaps must stay that of the whole text before the training (``hold``).

Source: Gururangan et al., "Don't stop pretraining", 2020, arXiv:2004.10964; Devlin et al., "BERT",
2018, arXiv:1810.04805 (masking). Holding the vectors is ours, after Li and Hoiem, "Learning without
forgetting", 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shared.finetuning.method_settings import MethodSettings
from shared.finetuning.objectives import Batch, Forward

if TYPE_CHECKING:
    import torch


class DomainSettings(MethodSettings):
    """Fields of ``recipe.domain``."""

    epochs: float = Field(default=0.0, ge=0, le=1_000, description="over the texts; 0 is never")
    masked: float = Field(default=0.15, gt=0, lt=1, description="share of tokens to be guessed")
    learning_rate: float = Field(default=1e-4, gt=0, description="peak, encoder weights")
    hold: float = Field(
        default=10.0, ge=0, description="weight of how far sentence vectors move; 0 lets them go"
    )


@dataclass(frozen=True, slots=True)
class Masking:
    """Which tokens may be hidden and what stands in their place.

    ``special`` are ids that are never hidden, ``mask_id`` the sign of a gap, and ``vocabulary``
    the number of ids.
    """

    special: tuple[int, ...]
    mask_id: int
    vocabulary: int
    share: float

    def hide(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The ids [b, t] with gaps, and which places bool[b, t] are to be guessed.

        Of the chosen tokens 80 % become a gap, 10 % another token and 10 % stay. Drawn by torch's
        global generator on the processor, as a checkpoint keeps it. At least one token of a batch
        is chosen where there is any that may be.
        """
        import torch

        usable = mask.bool() & ~torch.isin(ids, torch.tensor(self.special, device=ids.device))
        drawn = torch.rand(ids.shape).to(ids.device)
        chosen = usable & (drawn < self.share)
        if not bool(chosen.any()) and bool(usable.any()):
            lowest = drawn.masked_fill(~usable, 2.0).argmin()
            chosen.view(-1)[lowest] = True
        fate = torch.rand(ids.shape).to(ids.device)
        other = torch.randint(self.vocabulary, ids.shape).to(ids.device)
        hidden = torch.where(chosen & (fate < 0.8), self.mask_id, ids)
        return torch.where(chosen & (fate >= 0.8) & (fate < 0.9), other, hidden), chosen


Guess = Callable[
    ["torch.Tensor", "torch.Tensor", "torch.Tensor"], tuple["torch.Tensor", "torch.Tensor"]
]
"""Ids, mask and chosen places, all [b, t], to logits [m, vocabulary] of the chosen places in order,
and unit vectors [b, dimensions] of the texts."""


@dataclass(frozen=True, slots=True)
class MaskedLanguage:
    """Cross-entropy of the hidden tokens, and how far the vectors of the texts moved.

    ``before`` float32[n, dimensions] are the unit vectors of the whole texts, by row.
    """

    guess: Guess
    masking: Masking
    before: NDArray[np.float32]
    hold: float = 0.0
    passes: int = 1

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """The mean loss of the part."""
        import torch
        from torch.nn import functional

        hidden, chosen = self.masking.hide(batch.ids, batch.mask)
        logits, vectors = self.guess(hidden, batch.mask, chosen)
        result = vectors.sum() * 0.0
        if len(logits):
            result = result + functional.cross_entropy(logits.float(), batch.ids[chosen])
        if self.hold:
            before = torch.from_numpy(self.before[batch.rows]).to(vectors.device)
            result = result + self.hold * (1 - (vectors * before).sum(dim=1)).mean()
        return result
