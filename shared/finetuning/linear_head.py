"""The frozen-encoder method: logistic regression on the vectors, in seconds.

It is also where full fine-tuning starts its head from: a random head would first have to undo
the damage it does to the encoder (Kumar et al., "Fine-tuning can distort pretrained features",
2022).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.calibration import fit_temperature, negative_log_likelihood, softmax

STRENGTHS: tuple[float, ...] = (3.0, 10.0, 30.0, 100.0)
"""Inverse strengths of the penalty (C) among which validation chooses."""

MOST_LOGITS = 50_000_000
"""Examples times classes up to which a regression is solved: each of its steps computes them all.
"""

START_TOLERANCE = 0.1
"""Of a class's share of the gradient (1 over the classes), where a head is only to start from."""

FINAL_TOLERANCE = 0.02
"""The same where the head stays as it is: half a point on CLINC150 with a third of its texts, and
nothing on Banking77's 10-shot draw."""

MEAN_SCALE = 20.0
"""Factor on the cosines to class means; the temperature is fitted afterwards in any case."""


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
    tolerance: float = START_TOLERANCE,
) -> LinearHead:
    """Multinomial logistic regression by L-BFGS; ``truth`` int64[n] covers every class.

    It ends where no component of the gradient is above 0.001, nor above ``tolerance`` by the
    number of classes. Of more than ``MOST_LOGITS`` examples times classes it is ``class_means``.
    """
    from sklearn.linear_model import LogisticRegression

    present = len(np.unique(truth))
    if present != classes:
        raise ValueError(f"{classes} classes, but only {present} have examples")
    if len(truth) * classes > MOST_LOGITS:
        return class_means(vectors, truth, classes, regularisation)
    model = LogisticRegression(
        C=regularisation,
        max_iter=500,
        tol=min(1e-3, tolerance / classes),
        class_weight="balanced" if balanced else None,
    )
    with warnings.catch_warnings():
        # One example a class is few, and yet they are classes.
        warnings.filterwarnings("ignore", message="The number of unique classes", module="sklearn")
        fitted = model.fit(vectors, truth)
    weight, bias = fitted.coef_, fitted.intercept_
    if classes == 2:
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return LinearHead(weight.astype(np.float32), bias.astype(np.float32), regularisation)


def class_means(
    vectors: NDArray[np.float32], truth: NDArray[np.int64], classes: int, regularisation: float
) -> LinearHead:
    """Scaled cosines to the mean vector of each class, in one pass over the examples.

    Source: Snell, Swersky and Zemel, "Prototypical networks for few-shot learning", 2017.
    """
    sums = np.zeros((classes, vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, truth, vectors)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    weight = MEAN_SCALE * sums / np.maximum(length, 1e-12)
    return LinearHead(
        weight.astype(np.float32), np.zeros(classes, dtype=np.float32), regularisation
    )


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
    Without validation examples, or where ``fit_linear_head`` heeds no penalty, the middle of
    ``strengths`` is taken.
    """
    if len(validation_truth) == 0 or len(truth) * classes > MOST_LOGITS:
        middle = strengths[len(strengths) // 2]
        return fit_linear_head(
            vectors, truth, classes=classes, regularisation=middle, balanced=balanced,
            tolerance=FINAL_TOLERANCE,
        )  # fmt: skip
    best: tuple[float, LinearHead] | None = None
    for strength in strengths:
        head = fit_linear_head(
            vectors, truth, classes=classes, regularisation=strength, balanced=balanced,
            tolerance=FINAL_TOLERANCE,
        )  # fmt: skip
        logits = head.logits(validation_vectors)
        probabilities = softmax(logits, fit_temperature(logits, validation_truth))
        loss = negative_log_likelihood(probabilities, validation_truth)
        if best is None or loss < best[0]:
            best = (loss, head)
    assert best is not None
    return best[1]
