"""How far two samples are from one another, and how likely so far is by chance. Pure functions.

Every statistic comes with the value that its null hypothesis (both samples are drawn from one
source) leads to at these sample sizes: no threshold is a constant of a text book. Sources:
Rabanser et al., "Failing loudly: an empirical study of methods for detecting dataset shift", 2019;
Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", 2017; Yurdakul and Naranjo,
"Statistical properties of the population stability index", 2020; DeLong et al., "Comparing the
areas under two or more correlated receiver operating characteristic curves", 1988.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import DataError

Floats = NDArray[np.floating[Any]]
Counts = NDArray[np.integer[Any]]

PERMUTATIONS = 9_999
"""Rearrangements of a null distribution: the least p-value that one can give is 0.0001."""

_BLOCK = 512
_SMOOTHING = 0.5
"""Readings added to each class of both samples, so that an empty class has a logarithm."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One statistic of two samples.

    ``value`` is what was observed, ``by_chance`` what samples of one source show on average, and
    ``effect`` the part that is not chance. ``p_value`` in (0, 1] is one-sided: a shift as large or
    larger where there is none.
    """

    value: float
    by_chance: float
    effect: float
    p_value: float


def centroid_shift(
    reference: Floats, live: Floats, *, seed: int, permutations: int = PERMUTATIONS
) -> Shift:
    """The distance between the mean vectors of [n, d] and [m, d], in spreads of the reference.

    A spread is the root mean square distance of the reference to its mean. The null is that of
    permuting which sample a vector belongs to. DataError: an empty sample.
    """
    n, m = len(reference), len(live)
    _check(n, m)
    everything = np.concatenate([reference, live]).astype(np.float32)
    everything -= everything.mean(axis=0)
    centre = everything[:n].mean(axis=0)
    spread = float(np.sqrt(np.mean(np.sum((everything[:n] - centre) ** 2, axis=1)))) or 1.0
    scale = (1 / n + 1 / m) / spread
    # The sum over all vectors is nought, so that the live sum alone gives both means.
    observed = float(np.linalg.norm(everything[n:].sum(axis=0))) * scale
    random = np.random.default_rng(seed)
    null = np.empty(permutations)
    members = np.zeros(n + m, dtype=np.float32)
    members[:m] = 1
    for start in range(0, permutations, _BLOCK):
        size = min(_BLOCK, permutations - start)
        chosen = random.permuted(np.broadcast_to(members, (size, n + m)), axis=1)
        null[start : start + size] = np.linalg.norm(chosen @ everything, axis=1) * scale
    squared = float(np.mean(null**2))
    return Shift(
        observed,
        float(np.sqrt(squared)),
        float(np.sqrt(max(observed**2 - squared, 0.0))),
        _rank(observed, null),
    )


@dataclass(frozen=True, slots=True)
class Separability:
    """How well a classifier tells two samples apart: ``auc`` in [0, 1], 0.5 for not at all.

    ``low`` is the lower bound of a one-sided interval; ``p_value`` is that of 0.5 or less.
    """

    auc: float
    low: float
    p_value: float


def domain_separability(
    reference: Floats, live: Floats, *, seed: int, alpha: float, folds: int = 5
) -> Separability:
    """The cross-validated AUC of a logistic regression that guesses which sample a vector is of.

    Each fold's AUC is of vectors that its regression has not seen. Its variance is DeLong's; folds
    share most of what they are fitted on, and the variance of their mean is enlarged for that
    (Nadeau and Bengio, "Inference for the generalization error", 2003). DataError: fewer than
    ``folds`` vectors in a sample.
    """
    from scipy.stats import norm
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    _check(len(reference), len(live), least=2 * folds)
    vectors = np.concatenate([reference, live]).astype(np.float64)
    vectors = (vectors - vectors.mean(axis=0)) / (vectors.std() or 1.0)
    sides = np.repeat([0, 1], [len(reference), len(live)])
    areas, variances = [], []
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fitted, held_out in split.split(vectors, sides):
        model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=500)
        model.fit(vectors[fitted], sides[fitted])
        scores = model.decision_function(vectors[held_out])
        area, variance = _auc(scores[sides[held_out] == 0], scores[sides[held_out] == 1])
        areas.append(area)
        variances.append(variance)
    area = float(np.mean(areas))
    enlarged = 1 / folds + 1 / (folds - 1)
    error = float(np.sqrt(np.mean(variances) * enlarged))
    low = area - float(norm.ppf(1 - alpha)) * error
    return Separability(area, max(low, 0.0), float(norm.sf((area - 0.5) / error)))


def _auc(negative: Floats, positive: Floats) -> tuple[float, float]:
    """The area under the curve and its variance by DeLong's placements, never nought."""
    wins = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    m, n = wins.shape
    variance = wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / n
    return float(wins.mean()), max(float(variance), 1 / (4 * m * n))


def stability_shift(
    reference: Counts, live: Counts, *, seed: int, permutations: int = PERMUTATIONS
) -> Shift:
    """The population stability index of counts by class, int [k] each, and what chance makes of it.

    Independent readings are permuted between the samples: counts of the live one are then
    multivariate hypergeometric. At 77 classes and 200 readings the index is 0.4 by chance alone,
    where the rule of thumb calls 0.25 a large shift. DataError: an empty sample.
    """
    _check(int(reference.sum()), int(live.sum()))
    pooled = np.asarray(reference + live, dtype=np.int64)
    random = np.random.default_rng(seed)
    drawn = random.multivariate_hypergeometric(
        pooled, int(live.sum()), size=permutations, method="marginals"
    )
    return _stability(reference, live, pooled - drawn, drawn)


def grouped_stability_shift(
    reference: Counts, live: Counts, *, seed: int, permutations: int = PERMUTATIONS
) -> Shift:
    """As ``stability_shift`` for readings that come in groups, such as the events of one user.

    Counts are int [groups, classes]. Whole groups are permuted between the samples, so that users
    who do one thing often are no evidence of a shift. DataError: an empty sample.
    """
    _check(len(reference), len(live))
    groups = np.concatenate([reference, live]).astype(np.int64)
    random = np.random.default_rng(seed)
    members = np.zeros(len(groups), dtype=np.int64)
    members[: len(live)] = 1
    drawn = np.empty((permutations, groups.shape[1]), dtype=np.int64)
    for start in range(0, permutations, _BLOCK):
        size = min(_BLOCK, permutations - start)
        chosen = random.permuted(np.broadcast_to(members, (size, len(groups))), axis=1)
        drawn[start : start + size] = chosen @ groups
    whole = groups.sum(axis=0)
    return _stability(reference.sum(axis=0), live.sum(axis=0), whole - drawn, drawn)


def _stability(reference: Counts, live: Counts, others: Counts, drawn: Counts) -> Shift:
    observed = float(stability_index(reference, live))
    null = stability_index(others, drawn)
    by_chance = float(null.mean())
    return Shift(observed, by_chance, max(observed - by_chance, 0.0), _rank(observed, null))


def stability_index(reference: Counts, live: Counts) -> Any:
    """Population stability index of counts [..., k], half a reading added to each class."""
    expected, actual = reference + _SMOOTHING, live + _SMOOTHING
    expected = expected / expected.sum(axis=-1, keepdims=True)
    actual = actual / actual.sum(axis=-1, keepdims=True)
    return np.sum((actual - expected) * np.log(actual / expected), axis=-1)


def rate_shift(reference: tuple[int, int], live: tuple[int, int]) -> Shift:
    """How much larger a share is: (hits, readings) of either, by Fisher's exact test.

    It is the exact test of two binomial rates, one-sided, given how many hits there were together:
    the reference's rate was measured, too, and is no constant. Where a hit is a score below the
    reference's own k-th lowest, k - 1 of its own are hits, and the test is exact for that, too
    (negative hypergeometric). DataError: an empty sample.
    """
    from scipy.stats import hypergeom

    (hits, n), (live_hits, m) = reference, live
    _check(n, m)
    expected = hits / n
    value = live_hits / m
    chance = float(hypergeom.sf(live_hits - 1, n + m, hits + live_hits, m))
    return Shift(value, expected, max(value - expected, 0.0), min(max(chance, 1e-300), 1.0))


def confidence_bins(reference: Floats, live: Floats, bins: int = 10) -> tuple[Counts, Counts]:
    """Counts of both by quantiles of the two together; equal quantiles are one bin.

    Bins of the reference alone would favour it, and a permutation would not be exact any more.
    """
    both = np.concatenate([reference, live])
    edges = np.unique(np.quantile(both, np.linspace(0, 1, bins + 1)[1:-1]))
    places = np.searchsorted(edges, reference), np.searchsorted(edges, live)
    first, second = (np.bincount(place, minlength=len(edges) + 1) for place in places)
    return first, second


def class_counts(reference: Sequence[str], live: Sequence[str]) -> tuple[Counts, Counts]:
    """Counts of both by class, over all classes of either."""
    names, places = np.unique([*reference, *live], return_inverse=True)
    split = len(reference)
    return (
        np.bincount(places[:split], minlength=len(names)),
        np.bincount(places[split:], minlength=len(names)),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm, 1979): at a level, the chance of any false rejection is below it."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(p_values[index] * (len(p_values) - place), 1.0))
        adjusted[index] = largest
    return adjusted


def _rank(observed: float, null: Floats) -> float:
    """The p-value of a permutation test: the observed arrangement is one of them."""
    return float((1 + np.count_nonzero(null >= observed - 1e-12)) / (1 + len(null)))


def _check(n: int, m: int, *, least: int = 1) -> None:
    if n < least or m < least:
        raise DataError(f"samples of {n} and {m} cannot be compared: at least {least} are needed")
