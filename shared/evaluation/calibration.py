"""Whether a stated confidence can be believed: temperature scaling and calibration error.

A classifier is calibrated when, of the texts it is 80 % sure of, 80 % are right.
Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

TEMPERATURES = (0.02, 50.0)
"""Where a temperature is looked for; a fit that ends at a border says that logits are all
right or all wrong."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Texts whose confidence lies in (low, high]; the means are 0 where ``count`` is 0."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities float64[n, k] of ``logits / temperature``; each row sums to 1."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def fit_temperature(
    logits: ArrayLike, truth: ArrayLike, mixed_with: tuple[ArrayLike, float] | None = None
) -> float:
    """The temperature that gives the lowest negative log-likelihood of ``truth`` int[n].

    ``logits`` is float[n, k], of texts that were not trained on. The loss is convex in
    1 / temperature, so that the one minimum is found within ``TEMPERATURES``. ``mixed_with`` are
    other probabilities float[n, k] and their share in [0, 1) of what is judged: then a minimum is
    found, which need not be the only one.
    """
    from scipy.optimize import minimize_scalar

    scores = np.asarray(logits, dtype=np.float64)
    classes = _truth(truth, len(scores))
    own = scores[np.arange(len(classes)), classes]
    kept, added = 0.0, np.array(-np.inf)  # logarithms of the two addends
    if mixed_with is not None and mixed_with[1]:
        others, share = np.asarray(mixed_with[0], dtype=np.float64), mixed_with[1]
        kept = float(np.log1p(-share))
        added = np.log(np.maximum(share * others[np.arange(len(classes)), classes], 1e-300))

    def loss(log_temperature: float) -> float:
        scaled = scores / np.exp(log_temperature)
        peak = scaled.max(axis=1)
        mass = peak + np.log(np.exp(scaled - peak[:, None]).sum(axis=1))
        likelihood = kept + own / np.exp(log_temperature) - mass
        return float(-np.mean(np.logaddexp(likelihood, added)))

    low, high = (float(np.log(border)) for border in TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def negative_log_likelihood(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Mean of -log of the true class's probability, in nats; probabilities below 1e-12 count so."""
    rows = np.asarray(probabilities, dtype=np.float64)
    classes = _truth(truth, len(rows))
    own = rows[np.arange(len(classes)), classes]
    return float(-np.mean(np.log(np.maximum(own, 1e-12))))


def expected_calibration_error(probabilities: ArrayLike, truth: ArrayLike, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy of the top class, in [0, 1].

    Equal-width bins over (0, 1], weighted by how many texts each holds.
    """
    rows = np.asarray(probabilities, dtype=np.float64)
    classes = _truth(truth, len(rows))
    return confidence_gap(rows.max(axis=1), rows.argmax(axis=1) == classes, bins)


def confidence_gap(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """The expected calibration error of any confidence float[n] against ``correct`` bool[n]."""
    rows = reliability_bins(confidence, correct, bins)
    total = sum(row.count for row in rows)
    return sum(row.count * abs(row.accuracy - row.confidence) for row in rows) / total


def reliability_bins(
    confidence: ArrayLike, correct: ArrayLike, bins: int = 15
) -> list[ReliabilityBin]:
    """Equal-width bins over (0, 1] with the mean confidence and accuracy of each, empty ones too.

    ``confidence`` is float[n] in [0, 1] (0 itself falls in the first bin), ``correct`` bool[n].
    """
    scores = np.asarray(confidence, dtype=np.float64)
    hits = np.asarray(correct, dtype=bool)
    if scores.ndim != 1 or scores.shape != hits.shape or len(scores) == 0:
        raise ValueError(f"confidence of shape {scores.shape}, correct of shape {hits.shape}")
    if scores.min() < 0.0 or scores.max() > 1.0 + 1e-9:
        raise ValueError("confidence lies in [0, 1]")
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    mean = np.bincount(place, weights=scores, minlength=bins) / np.maximum(count, 1)
    right = np.bincount(place, weights=hits, minlength=bins) / np.maximum(count, 1)
    return [
        ReliabilityBin(
            low=float(edges[number]),
            high=float(edges[number + 1]),
            count=int(count[number]),
            confidence=float(mean[number]),
            accuracy=float(right[number]),
        )
        for number in range(bins)
    ]


def _truth(truth: ArrayLike, rows: int) -> NDArray[np.int64]:
    classes = np.asarray(truth, dtype=np.int64)
    if classes.ndim != 1 or len(classes) != rows or rows == 0:
        raise ValueError(f"{rows} rows of scores, truth of shape {classes.shape}")
    return classes
