"""How often the right class is chosen: accuracy, macro-F1, top-k, the per-class table, intervals.

Arrays throughout: ``truth`` and ``predicted`` are int[n], row numbers of the labels, and
``probabilities`` is float[n, k]. Nothing here knows what the classes mean. Plain NumPy, so that
a bootstrap can call a metric thousands of times; the tests compare it with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How well one class is told from the others; all but the two counts in [0, 1].

    ``support`` counts texts that are of the class, ``predicted`` texts that were said to be.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


def accuracy(truth: ArrayLike, predicted: ArrayLike) -> float:
    """The share of rows whose class is right, in [0, 1]; ValueError when there is no row.

    A truth of -1 stands for a class that the model does not know: it is never right.
    """
    first, second = np.asarray(truth), np.asarray(predicted)
    if first.ndim != 1 or first.shape != second.shape or len(first) == 0:
        raise ValueError(
            f"shapes {first.shape} and {second.shape}: need the same rows, one at least"
        )
    return float(np.mean((first == second) & (first >= 0)))


def macro_f1(truth: ArrayLike, predicted: ArrayLike) -> float:
    """The unweighted mean of each class's F1, in [0, 1].

    The mean runs over the classes that occur in truth or prediction, as scikit-learn's
    ``f1_score(average="macro")`` does.
    """
    truth, predicted = _pair(truth, predicted)
    size = int(max(truth.max(), predicted.max())) + 1
    hits = np.bincount(truth[truth == predicted], minlength=size)
    total = np.bincount(truth, minlength=size) + np.bincount(predicted, minlength=size)
    occurs = total > 0
    return float(np.mean(2.0 * hits[occurs] / total[occurs]))


def top_k_accuracy(truth: ArrayLike, probabilities: ArrayLike, k: int = 3) -> float:
    """The share of rows whose class is among the ``k`` most probable, in [0, 1].

    A class that ties with the true one counts as ranked before it only when its column comes
    first, so that ``k=1`` agrees with ``argmax``.
    """
    truth = _classes(truth)
    scores = np.asarray(probabilities, dtype=np.float64)
    if scores.ndim != 2 or len(scores) != len(truth):
        raise ValueError(f"{len(truth)} rows of truth, probabilities of shape {scores.shape}")
    own = scores[np.arange(len(truth)), truth][:, None]
    before = np.arange(scores.shape[1])[None, :] < truth[:, None]
    ahead = (scores > own) | ((scores == own) & before)
    return float(np.mean(ahead.sum(axis=1) < k))


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Counts int[classes, classes]: the row is the true class, the column the predicted one."""
    truth, predicted = _pair(truth, predicted)
    if int(max(truth.max(), predicted.max())) >= classes:
        raise ValueError(f"a class number is not below {classes}")
    flat = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def per_class_table(
    truth: ArrayLike, predicted: ArrayLike, labels: Sequence[str]
) -> list[ClassScore]:
    """One ``ClassScore`` a label, in the order of ``labels``. A ratio over nothing is 0."""
    truth, predicted = _pair(truth, predicted)
    size = len(labels)
    if int(max(truth.max(), predicted.max())) >= size:
        raise ValueError(f"a class number is not below {size}")
    # Not out of a confusion matrix: that of ten thousand classes takes most of a gigabyte.
    counted = (
        np.bincount(rows, minlength=size).tolist()
        for rows in (truth[truth == predicted], truth, predicted)
    )
    rows = []
    for label, hits, support, said in zip(labels, *counted, strict=True):
        rows.append(
            ClassScore(
                label=label,
                precision=hits / said if said else 0.0,
                recall=hits / support if support else 0.0,
                f1=2 * hits / (support + said) if support + said else 0.0,
                support=support,
                predicted=said,
            )
        )
    return rows


def bootstrap_interval(
    values: ArrayLike,
    *,
    seed: int,
    metric: Callable[[NDArray[np.float64]], float] | None = None,
    confidence: float = 0.95,
    samples: int = 1000,
) -> tuple[float, float]:
    """A percentile bootstrap interval (low, high) of a metric over resampled rows.

    ``values`` is float[n] or float[n, m]; without ``metric`` it is the mean of float[n]
    (hits give accuracy's interval). With ``metric`` the resampled rows go to it: for macro-F1
    hand in truth and prediction as two columns. Source: Efron, 1979.
    """
    rows = np.asarray(values, dtype=np.float64)
    if len(rows) == 0:
        raise ValueError("an interval needs at least one row")
    if metric is None and rows.ndim != 1:
        raise ValueError("the mean's interval needs float[n]; hand in a metric for more columns")
    draw = np.random.default_rng(seed)
    scores = np.empty(samples)
    for sample in range(samples):
        chosen = rows[draw.integers(0, len(rows), len(rows))]
        scores[sample] = chosen.mean() if metric is None else metric(chosen)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(scores, [tail, 1.0 - tail])
    return float(low), float(high)


def _classes(numbers: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(numbers)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError("a metric needs at least one row of class numbers")
    whole = array.astype(np.int64)
    if (whole != array).any() or (whole < 0).any():
        raise ValueError("class numbers are whole and not negative")
    return whole


def _pair(truth: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = _classes(truth), _classes(predicted)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} rows of truth, {len(second)} of predictions")
    return first, second
