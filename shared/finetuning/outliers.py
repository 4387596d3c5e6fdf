"""Outlier exposure: texts of no class are learnt as such, by even answers.

A softmax never says that a text is of no class. Shown some that are not, it learns to answer them
evenly, and its energy falls for others that it was not shown. Source: Hendrycks, Mazeika and
Dietterich, "Deep anomaly detection with outlier exposure", 2019, arXiv:1812.04606.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings
from shared.finetuning.objectives import Batch, Forward, Objective

if TYPE_CHECKING:
    import torch


class OutlierSettings(MethodSettings):
    """Fields of ``recipe.outliers``."""

    weight: float = Field(
        default=0.5, ge=0, description="of an out-of-scope text beside a labelled one; 0 is unread"
    )
    repeated: int = Field(default=2, ge=1, le=100, description="times it is read in an epoch")


@dataclass(frozen=True, slots=True)
class Exposed:
    """``labelled``'s loss on the first ``known`` rows of the training data, even answers beyond.

    The loss of an outlier is the cross-entropy of its answer [classes] against even probabilities,
    times ``weight``.
    """

    labelled: Objective
    known: int
    weight: float

    @property
    def passes(self) -> int:
        """Those of the labels' loss."""
        return self.labelled.passes

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """The mean loss of the part."""
        import torch

        outside = batch.rows >= self.known
        if not outside.any():
            return self.labelled(module, batch)
        share = float(outside.mean())
        stray = torch.from_numpy(outside).to(batch.ids.device)
        logits = module(batch.ids[stray], batch.mask[stray]).float()
        loss = -self.weight * share * torch.log_softmax(logits, dim=-1).mean()
        if share < 1:
            inside = replace(
                batch,
                ids=batch.ids[~stray],
                mask=batch.mask[~stray],
                truth=batch.truth[~stray],
                rows=batch.rows[~outside],
            )
            loss = loss + (1 - share) * self.labelled(module, inside)
        return loss
