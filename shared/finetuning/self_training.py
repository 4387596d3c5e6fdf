"""Self-training: unlabelled texts join with the labels that the model itself is sure of.

A teacher is trained on the labels and says what each unlabelled text is. Where it is sure, the
text teaches a student that starts anew from the pre-trained encoder: with all the probabilities of
the teacher, not with its best class alone, and with two passes that must agree. The student is the
next teacher. A text that is unlike all labelled ones gets no label, however sure the teacher is.

What the teacher says is first put right along a graph of near texts (``label_propagation``).

Source: Xie et al., "Self-training with noisy student", 2020, arXiv:1911.04252; Sohn et al.,
"FixMatch", 2020, arXiv:2001.07685; Zou et al., "Domain adaptation for semantic segmentation via
class-balanced self-training", 2018, arXiv:1810.07911.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shared.finetuning.method_settings import MethodSettings
from shared.finetuning.objectives import Batch, Forward, consistency_loss

if TYPE_CHECKING:
    import torch


class SelfTrainingSettings(MethodSettings):
    """Fields of ``recipe.self_training``."""

    rounds: int = Field(default=0, ge=0, le=10, description="of labelling; 0 is never")
    propagation: float = Field(
        default=0.95, ge=0, lt=1, description="what a text takes from its neighbours; 0 is nothing"
    )
    neighbours: int = Field(default=15, ge=1, le=1_000, description="that a text takes it from")
    confidence: float = Field(default=0.5, gt=0, lt=1, description="least probability of a label")
    most_of_mean: float = Field(
        default=3.0, ge=1, description="texts that a class gets at most, by the mean of classes"
    )
    weight: float = Field(default=1.0, gt=0, le=10, description="of such a text against a label")
    sharpness: float = Field(
        default=4.0, gt=0, le=10, description="power to which the probabilities are raised"
    )
    consistency: float = Field(
        default=1.0, ge=0, description="weight of how much two passes over such a text disagree"
    )
    labelled_share: float = Field(
        default=0.25, gt=0, lt=1, description="of what a student reads, at least, by repetition"
    )
    reads: int = Field(default=40_000, ge=1, description="texts that a student reads at most")
    strangers: float = Field(
        default=0.02, ge=0, lt=1, description="share of labelled texts taken as unlike the others"
    )


@dataclass(frozen=True, slots=True)
class Selected:
    """Texts that were given a label: ``rows`` int64[m] ascending, ``targets`` float32[m, k]."""

    rows: NDArray[np.int64]
    targets: NDArray[np.float32]


def select(
    probabilities: NDArray[np.float64],
    sure: NDArray[np.float64],
    familiar: NDArray[np.bool_],
    settings: SelfTrainingSettings,
) -> Selected:
    """The texts that may teach, none of a stranger, no class with a multiple of the others.

    ``probabilities`` float[n, k] and ``sure`` float[n] in [0, 1] are the teacher's, ``familiar``
    bool[n]. Of a class with more than ``most_of_mean`` times the mean of the classes that were
    given any, the surest stay.
    """
    best = probabilities.argmax(axis=1)
    allowed = familiar & (sure >= settings.confidence)
    counts = np.bincount(best[allowed], minlength=probabilities.shape[1])
    given = counts[counts > 0]
    most = int(np.ceil(settings.most_of_mean * given.mean())) if len(given) else 0
    kept = []
    for label in np.flatnonzero(counts):
        own = np.flatnonzero(allowed & (best == label))
        kept.append(own[np.argsort(-sure[own], kind="stable")[:most]])
    rows = np.sort(np.concatenate(kept)) if kept else np.zeros(0, dtype=np.int64)
    raised = probabilities[rows] ** settings.sharpness
    targets = raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-12)
    return Selected(rows.astype(np.int64), targets.astype(np.float32))


def familiar_texts(
    nearest_of_labelled: NDArray[np.float64],
    nearest: NDArray[np.float64],
    settings: SelfTrainingSettings,
) -> NDArray[np.bool_]:
    """Whether a text is as near to a labelled one as labelled ones are to one another, bool[n].

    ``nearest_of_labelled`` float[m] is the cosine of each labelled text to the nearest other one,
    ``nearest`` float[n] that of the unlabelled texts to the nearest labelled one.
    """
    return nearest >= np.quantile(nearest_of_labelled, settings.strangers)


def matching_temperature(logits: NDArray[np.float32], accuracy: float) -> float:
    """The temperature at which the mean of the best probabilities of the texts is ``accuracy``.

    For want of validation texts: a model is right about as often as it believes (Garg et al.,
    "Leveraging unlabeled data to predict out-of-distribution performance", 2022, use the converse).
    ``logits`` float[n, k]; the answer lies in [0.05, 20].
    """
    from shared.evaluation.calibration import softmax

    low, high = np.log(0.05), np.log(20.0)
    for _ in range(30):
        middle = (low + high) / 2
        believed = softmax(logits, float(np.exp(middle))).max(axis=1).mean()
        low, high = (middle, high) if believed > accuracy else (low, middle)
    return float(np.exp((low + high) / 2))


def repetitions(labelled: int, selected: int, settings: SelfTrainingSettings) -> int:
    """How often each labelled text stands among what a student reads, at least once."""
    share = settings.labelled_share
    return max(1, round(share / (1 - share) * selected / max(1, labelled)))


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """Cross-entropy against probabilities; two passes over unlabelled texts must agree.

    ``targets`` float32[n, k] and ``weights`` float32[n] by row; ``unlabelled`` bool[n] says which
    rows the consistency counts.
    """

    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    unlabelled: NDArray[np.bool_]
    consistency: float = 0.0

    @property
    def passes(self) -> int:
        """Two where passes are compared."""
        return 2 if self.consistency else 1

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """The mean loss of the part."""
        import torch
        from torch.nn import functional

        passes = self.passes
        logits = module(batch.ids.repeat(passes, 1), batch.mask.repeat(passes, 1))
        device = logits.device
        targets = torch.from_numpy(self.targets[batch.rows]).to(device).repeat(passes, 1)
        weights = torch.from_numpy(self.weights[batch.rows]).to(device).repeat(passes)
        losses = functional.cross_entropy(logits.float(), targets, reduction="none")
        result = (losses * weights).mean()
        inside = torch.from_numpy(self.unlabelled[batch.rows]).to(device)
        if self.consistency and bool(inside.any()):
            first, second = logits.chunk(2)
            share = float(inside.float().mean())
            apart = consistency_loss(first[inside], second[inside])
            result = result + self.consistency * share * apart
        return result
