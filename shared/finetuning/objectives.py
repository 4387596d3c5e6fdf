"""What training minimises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


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
) -> torch.Tensor:
    """Mean cross-entropy of logits [b, classes] against truth int64[b], in fp32."""
    from torch.nn import functional

    return functional.cross_entropy(
        logits.float(), truth, weight=weights, label_smoothing=label_smoothing
    )
