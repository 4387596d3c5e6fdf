"""The frozen-encoder method: logistic regression on the vectors, in seconds.

It is also where full fine-tuning starts its head from: a random head would first have to undo
the damage it does to the encoder (Kumar et al., "Fine-tuning can distort pretrained features",
2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.calibration import fit_temperature, negative_log_likelihood, softmax

STRENGTHS: tuple[float, ...] = (3.0, 10.0, 30.0, 100.0)
"""Inverse strengths of the penalty (C) among which validation chooses."""


@dataclass(frozen=True, slots=True)
class LinearHead:
    """Logits are ``vectors @ weight.T + bias``; weight [classes, dimensions], bias [classes]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    regularisation: float

    def logits(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits float32 [n, classes] of vectors [n, dimensions]."""
        return vectors @ self.weight.T + self.bias


def fit_linear_head(
    vectors: NDArray[np.float32],
    truth: NDArray[np.int64],
    *,
    classes: int,
    regularisation: float = 10.0,
    balanced: bool = False,
) -> LinearHead:
    """Multinomial logistic regression by L-BFGS; ``truth`` int64[n] covers every class."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(
        C=regularisation, max_iter=500, tol=1e-3, class_weight="balanced" if balanced else None
    ).fit(vectors, truth)
    weight, bias = fitted.coef_, fitted.intercept_
    if classes == 2:
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    if len(weight) != classes:
        raise ValueError(f"{classes} classes, but only {len(weight)} have examples")
    return LinearHead(weight.astype(np.float32), bias.astype(np.float32), regularisation)


def choose_linear_head(
    vectors: NDArray[np.float32],
    truth: NDArray[np.int64],
    validation_vectors: NDArray[np.float32],
    validation_truth: NDArray[np.int64],
    *,
    classes: int,
    strengths: Sequence[float] = STRENGTHS,
    balanced: bool = False,
) -> LinearHead:
    """The head whose penalty does best on validation, by negative log-likelihood of the truth.

    Each head is judged after temperature scaling: a strong penalty only makes it timid, which
    the temperature mends, and judging before it would take too weak a penalty.
    Without validation examples the middle of ``strengths`` is taken.
    """
    if len(validation_truth) == 0:
        middle = strengths[len(strengths) // 2]
        return fit_linear_head(
            vectors, truth, classes=classes, regularisation=middle, balanced=balanced
        )
    best: tuple[float, LinearHead] | None = None
    for strength in strengths:
        head = fit_linear_head(
            vectors, truth, classes=classes, regularisation=strength, balanced=balanced
        )
        logits = head.logits(validation_vectors)
        probabilities = softmax(logits, fit_temperature(logits, validation_truth))
        loss = negative_log_likelihood(probabilities, validation_truth)
        if best is None or loss < best[0]:
            best = (loss, head)
    assert best is not None
    return best[1]
