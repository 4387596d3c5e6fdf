"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

FOCAL_FLOOR = 1e-6
"""Probability of being wrong below which a focal loss treats all alike."""

Forward = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""What is trained: token ids and attention mask, both [b, t], to logits [b, classes]."""


class LossSettings(Protocol):
    """The fields of a recipe that say what is minimised; the recipe describes each."""

    loss: Literal["cross_entropy", "focal"]
    focal_gamma: float
    label_smoothing: float
    consistency: float
    class_weights: Literal["none", "balanced"]


@dataclass(frozen=True, slots=True)
class Batch:
    """What an objective sees of a part of a batch, on the device of the module.

    ``ids`` and ``mask`` int64[b, t], ``truth`` int64[b]; ``rows`` int64[b] are the places of the
    examples in the training data. ``step`` counts from 0 to ``steps``: what is drawn at random
    must follow from it and the seed, so that a resumed training draws the same.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    truth: torch.Tensor
    rows: NDArray[np.int64]
    step: int
    steps: int


class Objective(Protocol):
    """The loss of a part of a batch. ``passes`` says how often a text goes through the module."""

    @property
    def passes(self) -> int:
        """Memory follows it: a batch is cut into parts accordingly."""
        ...

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """The mean loss of the part, with gradients."""
        ...


@dataclass(frozen=True, slots=True)
class Supervised:
    """Cross-entropy or focal loss against the labels, by the recipe.

    ``class_weights`` float[classes], ``example_weights`` float[n] by row; None weighs all alike.
    With ``consistency`` two passes with dropout must agree.
    """

    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0
    consistency: float = 0.0
    class_weights: NDArray[np.float32] | None = None
    example_weights: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        recipe: LossSettings,
        truth: NDArray[np.int64],
        classes: int,
        example_weights: NDArray[np.float32] | None = None,
    ) -> Supervised:
        """What the recipe asks for on these class numbers, int64[n]."""
        return cls(
            recipe.loss,
            recipe.focal_gamma,
            recipe.label_smoothing,
            recipe.consistency,
            class_weights(truth, classes, recipe.class_weights),
            example_weights,
        )

    @property
    def passes(self) -> int:
        """Two where passes are compared."""
        return 2 if self.consistency else 1

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """The mean loss of the part."""
        import torch

        passes = self.passes
        logits = module(batch.ids.repeat(passes, 1), batch.mask.repeat(passes, 1))
        device = logits.device
        weighted = self.class_weights
        weights = None if weighted is None else torch.from_numpy(weighted).to(device)
        each = None
        if self.example_weights is not None:
            each = torch.from_numpy(self.example_weights[batch.rows]).to(device).repeat(passes)
        result = classification_loss(
            logits,
            batch.truth.repeat(passes),
            weights=weights,
            label_smoothing=self.label_smoothing,
            focal_gamma=self.focal_gamma if self.loss == "focal" else 0.0,
            example_weights=each,
        )
        if self.consistency:
            result = result + self.consistency * consistency_loss(*logits.chunk(2))
        return result


def class_weights(
    truth: NDArray[np.int64], classes: int, kind: Literal["none", "balanced"]
) -> NDArray[np.float32] | None:
    """Weight of each class in the loss, float[classes]; None when all weigh alike.

    ``balanced`` weighs a class by n / (classes * its count), as scikit-learn does; a class
    without examples weighs 1.
    """
    if kind == "none":
        return None
    counts = np.bincount(truth, minlength=classes)
    weights = np.where(counts > 0, len(truth) / (classes * np.maximum(counts, 1)), 1.0)
    return weights.astype(np.float32)


def consistency_loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """How much two passes over the same texts disagree: logits [b, classes] twice, fp32 out.

    Half the symmetric Kullback-Leibler divergence, mean over the batch: dropout differs between
    the passes, and the model learns not to mind. Source: Wu et al., "R-Drop: Regularized Dropout
    for Neural Networks", 2021, arXiv:2106.14448.
    """
    from torch.nn import functional

    one = functional.log_softmax(first.float(), dim=-1)
    other = functional.log_softmax(second.float(), dim=-1)
    forth = functional.kl_div(one, other, log_target=True, reduction="batchmean")
    back = functional.kl_div(other, one, log_target=True, reduction="batchmean")
    return (forth + back) / 2


def classification_loss(
    logits: torch.Tensor,
    truth: torch.Tensor,
    *,
    weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    example_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean loss of logits [b, classes] against truth int64[b], in fp32.

    Cross-entropy; with ``focal_gamma`` an example that is right with probability p weighs
    (1 - p) ** gamma (Lin et al., "Focal loss for dense object detection", 2017). ``weights``
    [classes] and ``example_weights`` [b] are means' weights, as in ``torch.nn.CrossEntropyLoss``.
    """
    import torch
    from torch.nn import functional

    values = logits.float()
    if not focal_gamma and example_weights is None:
        return functional.cross_entropy(
            values, truth, weight=weights, label_smoothing=label_smoothing
        )
    losses = functional.cross_entropy(
        values, truth, reduction="none", label_smoothing=label_smoothing
    )
    if focal_gamma:
        right = torch.softmax(values, dim=-1).gather(1, truth[:, None]).squeeze(1)
        # Below a gamma of 1 the slope at 0 has no end.
        losses = losses * (1 - right).clamp(min=FOCAL_FLOOR) ** focal_gamma
    weighing = torch.ones_like(losses) if example_weights is None else example_weights
    if weights is not None:
        weighing = weighing * weights[truth]
    return (losses * weighing).sum() / weighing.sum().clamp(min=1e-9)
