"""How good ranked lists are: from the ranks of what had to be found, and from the lists.

Ranks count from 0 and are flat: ``owners[i]`` is the list that ``ranks[i]`` belongs to. Every
function of lists answers one number a list, so that users can be compared and drawn anew.
Plain NumPy; the tests compare it with worked examples and with scikit-learn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.histories import Rows

Numbers = NDArray[np.float64]

PROPENSITY_POWER = 0.5
"""An item's chance to be observed grows with its popularity to this power: Steck, 2011."""


def recall(ranks: Rows, owners: Rows, lists: int, k: int) -> Numbers:
    """The share of each list's targets that stand among its first ``k``, in [0, 1]."""
    found = np.bincount(owners[ranks < k], minlength=lists)
    return np.asarray(found / np.bincount(owners, minlength=lists))


def hit_rate(ranks: Rows, owners: Rows, lists: int, k: int) -> Numbers:
    """1 where at least one target stands among the first ``k``, else 0."""
    return (np.bincount(owners[ranks < k], minlength=lists) > 0).astype(np.float64)


def ndcg(ranks: Rows, owners: Rows, lists: int, k: int) -> Numbers:
    """Discounted gain of the targets among the first ``k`` over the best possible, in [0, 1].

    Every target has a gain of 1. Source: Järvelin and Kekäläinen, 2002.
    """
    near = ranks < k
    gains = np.bincount(owners[near], weights=1 / np.log2(ranks[near] + 2.0), minlength=lists)
    best = np.cumsum(1 / np.log2(np.arange(k) + 2.0))
    targets = np.bincount(owners, minlength=lists)
    return np.asarray(gains / best[np.minimum(targets, k) - 1])


def debiased_hit_rate(ranks: Rows, weights: Numbers, k: int) -> float:
    """The share of targets among the first ``k``, each weighing as ``weights`` says.

    With the inverse of the chance to be observed as weight, hits on what everyone takes count
    little. Source: Yang et al., "Unbiased offline recommender evaluation for missing-not-at-random
    implicit feedback", 2018 (self-normalised); the power is Steck's, "Item popularity and
    recommendation accuracy", 2011.
    """
    return float(weights[ranks < k].sum() / weights.sum())


def inverse_propensity(popularity: Rows) -> Numbers:
    """The weight of each item for ``debiased_hit_rate``, from how many users took it."""
    return np.asarray(np.maximum(popularity, 1).astype(np.float64) ** -PROPENSITY_POWER)


def self_information(popularity: Rows, users: int) -> Numbers:
    """How surprising each item is: bits of the share of users who took it.

    One whom nobody took counts as taken once. Source: Zhou et al., "Solving the apparent
    diversity-accuracy dilemma of recommender systems", 2010.
    """
    share = np.maximum(popularity, 1) / max(users, 1)
    return np.asarray(-np.log2(np.minimum(share, 1.0)))


def novelty(lists: Rows, information: Numbers) -> Numbers:
    """Mean self-information of each list in bits; -1 in a list is an empty place."""
    there = lists >= 0
    total = np.where(there, information[lists], 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(there.sum(axis=1), 1))


def diversity(lists: Rows, vectors: NDArray[np.float32]) -> Numbers:
    """1 minus the mean cosine of each list's pairs of items, in [0, 2]; of one item 0.

    ``vectors`` float32 [items, d] have unit length; zero vectors are like nothing. Source: Ziegler
    et al., "Improving recommendation lists through topic diversification", 2005.
    """
    there = lists >= 0
    chosen = np.where(there[:, :, None], vectors[lists], np.float32(0.0))
    own = np.square(chosen, dtype=np.float64).sum(axis=(1, 2))
    together = np.square(chosen.sum(axis=1, dtype=np.float64)).sum(axis=1)
    count = there.sum(axis=1)
    pairs = count * (count - 1)
    mean = (together - own) / np.maximum(pairs, 1)
    return np.asarray(np.where(pairs > 0, 1.0 - mean, 0.0))


def standard_error(values: Numbers, users: Rows) -> float:
    """The standard error of the mean of ``values``, where one user may have several.

    ``users`` int64 [values] numbers whose they are. Source: Liang and Zeger, 1986; with one value
    a user it is the usual error of a mean.
    """
    residuals = np.bincount(users, weights=values - values.mean())
    return float(np.sqrt(np.square(residuals).sum()) / len(values))


def mean_intervals(
    values: Numbers,
    users: Rows,
    *,
    seed: int,
    confidence: float = 0.95,
    samples: int = 1000,
) -> NDArray[np.float64]:
    """Percentile bootstrap intervals of the means of columns, float64 [columns, 2].

    ``values`` is float64 [n, columns]. Users are drawn, each with all their values, so that the
    columns of one draw belong together. Source: Efron, 1979.
    """
    _, numbers = np.unique(users, return_inverse=True)
    people = int(numbers.max()) + 1
    sums = np.stack(
        [np.bincount(numbers, weights=column, minlength=people) for column in values.T], axis=1
    )
    counts = np.bincount(numbers, minlength=people)
    draw = np.random.default_rng(seed)
    means = np.empty((samples, values.shape[1]))
    for sample in range(samples):
        times = np.bincount(draw.integers(0, people, people), minlength=people)
        means[sample] = (times @ sums) / (times @ counts)
    tail = (1.0 - confidence) / 2.0
    return np.asarray(np.quantile(means, [tail, 1.0 - tail], axis=0).T)
