"""Few-shot contrastive fine-tuning: texts of one class drawn together, then a head anew.

Each text of a batch is read beside a partner of its class: another text, the name or the
description of the class in a sentence, or the text itself under other dropout where there is
nothing else. In the batch, members of one class are to be nearer to each other than to all others.

Source: Khosla et al., "Supervised contrastive learning", 2020, arXiv:2004.11362 (the loss);
Tunstall et al., "Efficient few-shot learning without prompts" (SetFit), 2022, arXiv:2209.11055
(a head on the trained encoder); Gao et al., "SimCSE", 2021, arXiv:2104.08821 (dropout as the other
view); Zhang et al., "Few-shot intent detection via contrastive pre-training and fine-tuning", 2021,
arXiv:2109.06349 (the labels' own loss beside it); Wortsman et al., "Robust fine-tuning of zero-shot
models" (WiSE-FT), 2022, arXiv:2109.01903 (weights half the way back to the pre-trained ones).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shared.finetuning.batching import TokenisedTexts
from shared.finetuning.method_settings import MethodSettings
from shared.finetuning.objectives import Batch, Forward, Objective

if TYPE_CHECKING:
    import torch


PASSES_OF_PARTNERS = 4
"""Into how many passes the partners of a batch are cut by their length."""


class ContrastiveSettings(MethodSettings):
    """Fields of ``recipe.contrastive``."""

    temperature: float = Field(default=0.1, gt=0, description="divides the cosines of a batch")
    weight: float = Field(
        default=0.5, ge=0, le=1, description="of the pairs; the rest is the labels' own loss"
    )
    share_of_epochs: float = Field(
        default=0.3, gt=0, le=1, description="of what a training of the recipe reads"
    )
    kept: float = Field(
        default=0.5, gt=0, le=1, description="of how far the weights went from where they began"
    )
    names: int = Field(
        default=2, ge=0, le=4, description="sentences with its name that join each class"
    )


def partners(
    truth: NDArray[np.int64], rows: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """For each row another one of its class, int64[b]; itself where it is alone.

    ``truth`` int64[n] are the class numbers, ``rows`` int64[b] places in it.
    """
    order = np.argsort(truth, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    counts = np.bincount(truth)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    own = truth[rows]
    # One of the others: a step of 1 to count - 1 around the class's own ring.
    step = 1 + np.floor(generator.random(len(rows)) * (counts[own] - 1)).astype(np.int64)
    there = (place[rows] - first[own] + step) % counts[own]
    chosen: NDArray[np.int64] = order[first[own] + there]
    return chosen


def contrastive_loss(
    vectors: torch.Tensor, truth: torch.Tensor, temperature: float
) -> torch.Tensor:
    """How far members of one class are apart against all others, in fp32; 0 where none has another.

    ``vectors`` float[m, dimensions] of length 1, ``truth`` int64[m]. For each member the mean, over
    the others of its class, of minus the log of the softmax of its cosines by ``temperature``; the
    mean over the members that have such others ("L out" of the source).
    """
    import torch

    values = vectors.float()
    with torch.autocast(values.device.type, enabled=False):
        cosines = values @ values.T / temperature
    itself = torch.eye(len(values), dtype=torch.bool, device=values.device)
    chances = torch.log_softmax(cosines.masked_fill(itself, -torch.inf), dim=1)
    alike = (truth[:, None] == truth) & ~itself
    others = alike.sum(dim=1)
    each = -chances.masked_fill(~alike, 0.0).sum(dim=1) / others.clamp(min=1)
    return each.sum() / (others > 0).sum().clamp(min=1)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The contrastive loss over a batch and its partners, beside the labels' own loss.

    ``texts`` and ``truth`` are the training data by row. ``vectors`` gives the unit vectors that
    the last call of the module went through, [m, dimensions].
    """

    labels: Objective
    texts: TokenisedTexts
    truth: NDArray[np.int64]
    vectors: Callable[[], torch.Tensor]
    temperature: float = 0.1
    weight: float = 0.5
    seed: int = 0
    passes: int = field(default=2, init=False)

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """The mean loss of the part."""
        import torch

        own = self.labels(module, batch)
        if not self.weight:
            return own
        found = [self.vectors()[: len(batch.ids)]]
        # The part's first row tells parts of one step apart.
        generator = np.random.default_rng((self.seed, batch.step, int(batch.rows[0])))
        chosen = partners(self.truth, batch.rows, generator)
        # Batches are of like length and partners are not: a few passes save most of the padding.
        chosen = chosen[np.argsort(self.texts.lengths[chosen], kind="stable")]
        for rows in np.array_split(chosen, min(len(chosen), PASSES_OF_PARTNERS)):
            ids, mask = (part.to(batch.ids.device) for part in self.texts.batch(rows))
            module(ids, mask)
            found.append(self.vectors())
        truth = torch.from_numpy(self.truth[chosen]).to(batch.truth.device)
        pairs = contrastive_loss(
            torch.cat(found), torch.cat([batch.truth, truth]), self.temperature
        )
        return (1 - self.weight) * own + self.weight * pairs
