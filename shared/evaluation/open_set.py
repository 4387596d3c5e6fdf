"""How well texts of no class are told from the rest: in-scope scores, and measures of them.

Every score here grows with how much a text looks in scope, so that scores can be compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def energy(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """``T * log(sum(exp(logits / T)))``, float64[n], unbounded, high in scope.

    It is the negative of the free energy of Liu, Wang, Owens, Li, "Energy-based
    Out-of-distribution Detection", 2020.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    peak = scaled.max(axis=-1)
    return np.asarray(temperature * (peak + np.log(np.exp(scaled - peak[..., None]).sum(axis=-1))))


def maximum_probability(probabilities: ArrayLike) -> NDArray[np.float64]:
    """The top class's probability, float64[n] in [0, 1]: Hendrycks and Gimpel, 2017."""
    return np.asarray(np.asarray(probabilities, dtype=np.float64).max(axis=-1))


def neighbour_similarity(
    queries: ArrayLike, bank: ArrayLike, k: int = 5, *, block: int = 512
) -> NDArray[np.float64]:
    """Mean cosine similarity to the ``k`` nearest rows of the bank, float64[n] in [-1, 1].

    ``queries`` is float[n, d] and ``bank`` float[m, d], both of unit length; all of the bank
    counts when it has fewer than ``k`` rows. ``block`` queries at a time bound the memory.
    Source: Sun, Ming, Zhu, Li, "Out-of-Distribution Detection with Deep Nearest Neighbors", 2022.
    """
    rows = np.asarray(queries, dtype=np.float32)
    stored = np.asarray(bank, dtype=np.float32)
    if len(stored) == 0:
        raise ValueError("a bank of neighbours needs at least one row")
    near = min(k, len(stored))
    scores = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), block):
        # The bank first: one query is then a product of matrix and vector, a tenth of the time.
        similarity = np.ascontiguousarray((stored @ rows[start : start + block].T).T)
        best = np.partition(similarity, similarity.shape[1] - near, axis=1)[:, -near:]
        scores[start : start + block] = best.mean(axis=1, dtype=np.float64)
    return scores


def auroc(in_scope_scores: ArrayLike, out_scores: ArrayLike) -> float:
    """The chance that an in-scope text scores above an out-of-scope one, ties counted half."""
    from scipy.stats import rankdata

    inside, outside = _scores(in_scope_scores), _scores(out_scores)
    ranks = rankdata(np.concatenate([inside, outside]))[: len(inside)]
    wins = ranks.sum() - len(inside) * (len(inside) + 1) / 2.0
    return float(wins / (len(inside) * len(outside)))


def auprc(in_scope_scores: ArrayLike, out_scores: ArrayLike) -> float:
    """Average precision with out-of-scope as the positive class, in [0, 1].

    It depends on the share of out-of-scope texts: compare it only on the same data.
    """
    inside, outside = _scores(in_scope_scores), _scores(out_scores)
    thresholds, found = np.unique(outside, return_counts=True)  # low scores are flagged first
    caught = np.cumsum(found)
    alarms = np.searchsorted(np.sort(inside), thresholds, side="right")
    precision = caught / (caught + alarms)
    return float(np.sum(found * precision) / len(outside))


def false_positive_rate_at_95(in_scope_scores: ArrayLike, out_scores: ArrayLike) -> float:
    """The share of out-of-scope texts let in by the threshold that lets in 95 % in scope.

    The threshold is the highest score at which at least 95 % of the in-scope texts pass.
    """
    inside, outside = _scores(in_scope_scores), _scores(out_scores)
    keep = int(np.ceil(0.95 * len(inside)))
    threshold = np.sort(inside)[::-1][keep - 1]
    return float(np.mean(outside >= threshold))


def _scores(values: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError("both sides need at least one score")
    return scores
