"""When to answer and when to leave it: risk against coverage, and a threshold with a bound.

``confidence`` is float[n] in [0, 1] and ``correct`` bool[n]; an out-of-scope text is never
correct. A text is answered when its confidence is at or above the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEVER = 1.01
"""A threshold that no confidence reaches: nothing is answered."""

GRID: tuple[float, ...] = (
    *(float(1.0 / (1.0 + np.exp(-step / 4.0))) for step in range(32, -21, -1)),
    0.0,
)
"""The thresholds that are tried, strict to loose, evenly spaced in log-odds. Set before any
data is seen: the bound rests on that."""

TOLERATED = 4
"""Errors that the first tested threshold should be able to hold without failing."""


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Share of errors (``risk``) among the answered share (``coverage``), strict to loose.

    One point for each distinct confidence. ``area`` is the area under the curve: lower is better.
    """

    threshold: NDArray[np.float64]
    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]
    area: float


@dataclass(frozen=True, slots=True)
class SelectiveThreshold:
    """A threshold, and what it does on the examples it was chosen or measured on.

    ``error`` is the share of wrong ones among the answered (0 when none is), ``bound`` an upper
    confidence bound of that share (broken with chance ``delta`` at most), ``certified`` whether
    the bound keeps the target.
    """

    threshold: float
    target_error: float
    coverage: float
    error: float
    bound: float
    certified: bool
    delta: float = 0.1


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """The curve of error against coverage: El-Yaniv and Wiener, 2010; area: Geifman et al., 2019.

    Equal confidences are answered together; the area weighs each point by its texts.
    """
    scores, hits = _pair(confidence, correct)
    order = np.argsort(-scores, kind="stable")
    scores, wrong = scores[order], np.cumsum(~hits[order])
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    answered = last + 1
    risk = wrong[last] / answered
    return RiskCoverage(
        threshold=scores[last],
        coverage=answered / len(scores),
        risk=risk,
        area=float(np.sum(np.diff(answered, prepend=0) * risk) / len(scores)),
    )


def clopper_pearson_upper(errors: int, n: int, delta: float) -> float:
    """The exact binomial upper bound: the true rate is above it with chance ``delta`` at most.

    1.0 when ``n`` is 0. Source: Clopper and Pearson, Biometrika 26, 1934.
    """
    from scipy.stats import beta

    if not 0 <= errors <= n:
        raise ValueError(f"{errors} errors among {n}")
    if errors == n:
        return 1.0
    return float(beta.ppf(1.0 - delta, errors + 1, n - errors))


def choose_threshold(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    target_error: float,
    delta: float = 0.1,
    grid: Sequence[float] = GRID,
) -> SelectiveThreshold:
    """The loosest threshold whose error is certified to keep the target.

    Over draws of the examples, the true error among answered texts is above ``target_error``
    with chance ``delta`` at most. It is fixed-sequence testing (Angelopoulos, Bates, Candès,
    Jordan, Lei, "Learn then Test", 2021): the pre-set ``grid`` is walked strict to loose, each
    threshold is tested by the exact binomial bound at the full ``delta``, and the walk ends at
    the first that fails. Thresholds that too few texts reach are passed over, by a count that
    depends only on n, the target and delta. Nothing is assumed of the scores' distribution,
    but for that passing over: there, that error falls as confidence grows. The examples must
    be drawn like the texts to come, and nothing may have been fitted to their labels.

    When no threshold is certified, the threshold is ``NEVER`` and ``certified`` False.
    """
    if not 0.0 < target_error < 1.0 or not 0.0 < delta < 1.0:
        raise ValueError("target_error and delta lie between 0 and 1")
    if any(loose >= strict for strict, loose in pairwise(grid)):
        raise ValueError("the grid runs from strict to loose")
    scores, hits = _pair(confidence, correct)
    enough = first_tested_count(len(scores), target_error, delta)
    chosen: SelectiveThreshold | None = None
    for threshold in grid:
        if np.count_nonzero(scores >= threshold) < enough:
            continue
        tested = measure_threshold(scores, hits, threshold, target_error=target_error, delta=delta)
        if not tested.certified:
            break
        chosen = tested
    if chosen is not None:
        return chosen
    above = max(NEVER, float(np.nextafter(scores.max(), np.inf)))
    return SelectiveThreshold(above, target_error, 0.0, 0.0, 1.0, False, delta)


def measure_threshold(
    confidence: ArrayLike,
    correct: ArrayLike,
    threshold: float,
    *,
    target_error: float,
    delta: float = 0.1,
) -> SelectiveThreshold:
    """What a given threshold does on these examples, the exact bound at ``delta`` included."""
    scores, hits = _pair(confidence, correct)
    answered = scores >= threshold
    n = int(np.count_nonzero(answered))
    errors = int(np.count_nonzero(answered & ~hits))
    bound = clopper_pearson_upper(errors, n, delta) if n else 1.0
    return SelectiveThreshold(
        threshold=float(threshold),
        target_error=target_error,
        coverage=n / len(scores),
        error=errors / n if n else 0.0,
        bound=bound,
        certified=bound <= target_error,
        delta=delta,
    )


def first_tested_count(n: int, target_error: float, delta: float) -> int:
    """How many answered texts the first tested threshold needs, of ``n``.

    Enough to hold ``TOLERATED`` errors where half of the texts are as many, else half of the
    texts, and never fewer than can certify the target without a single error.
    """
    least = int(np.ceil(np.log(delta) / np.log1p(-target_error)))
    return max(least, min(_comfortable_count(target_error, delta), n // 2))


@cache
def _comfortable_count(target_error: float, delta: float) -> int:
    count = TOLERATED + 1
    while clopper_pearson_upper(TOLERATED, count, delta) > target_error:
        count += 1 + count // 50
    return count


def _pair(
    confidence: ArrayLike, correct: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    scores = np.asarray(confidence, dtype=np.float64)
    hits = np.asarray(correct, dtype=bool)
    if scores.ndim != 1 or scores.shape != hits.shape or len(scores) == 0:
        raise ValueError(f"confidence of shape {scores.shape}, correct of shape {hits.shape}")
    return scores, hits
