"""What the nearest training examples say of a text: how familiar it is, and of which class.

Each of the nearest votes for its class, the nearer the more. A classifier and its own neighbours
err on different texts, so that the mean of both is right more often than either. Source: Khandelwal
et al., "Generalization through memorization: nearest neighbor language models", 2020; Li et al.,
"KNN-BERT: fine-tuning pre-trained models with KNN classifier", 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FAMILIAR = 5
"""Training examples whose mean cosine similarity measures how familiar a text is."""

VOTERS = 16
"""Training examples that vote for their class."""

REACH = 0.05
"""A cosine lower by so much divides a vote by e."""

BLOCK = 512

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Neighbours:
    """The nearest examples of n texts: cosine ``similarity`` float32 [n, k], nearest first, and
    their ``rows`` int64 [n, k] in the bank; k is ``VOTERS``, or as many as there are."""

    similarity: Floats
    rows: NDArray[np.int64]

    @classmethod
    def among(cls, queries: Floats, bank: Floats, candidates: NDArray[np.int64]) -> Neighbours:
        """The nearest of some rows of the bank for each query, int64 [n, c], measured exactly."""
        near = np.matmul(bank[candidates], queries[:, :, None])[:, :, 0]
        order = np.argsort(-near, axis=1, kind="stable")[:, :VOTERS]
        return cls(
            np.take_along_axis(near, order, axis=1), np.take_along_axis(candidates, order, axis=1)
        )

    @property
    def familiarity(self) -> NDArray[np.float64]:
        """Mean similarity to the ``FAMILIAR`` nearest, float64 [n] in [-1, 1]; as
        ``shared.evaluation.open_set.neighbour_similarity``."""
        return np.asarray(self.similarity[:, :FAMILIAR].mean(axis=1, dtype=np.float64))

    def votes(self, truth: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
        """The share of the votes for each class, float64 [n, classes]; rows sum to 1.

        ``truth`` int64 [bank] are the class numbers of the examples.
        """
        weights = np.exp((self.similarity - self.similarity[:, :1]) / REACH)
        places = np.arange(len(weights))[:, None] * classes + truth[self.rows]
        counted = np.bincount(places.ravel(), weights.ravel(), minlength=len(weights) * classes)
        found = np.asarray(counted, dtype=np.float64).reshape(-1, classes)
        return np.asarray(found / found.sum(axis=1, keepdims=True))


def nearest_neighbours(queries: ArrayLike, bank: ArrayLike) -> Neighbours:
    """By products with all of the bank, float32 [m, d] of unit length as the queries [n, d] are.

    ValueError for an empty bank.
    """
    asked = np.asarray(queries, dtype=np.float32)
    stored = np.asarray(bank, dtype=np.float32)
    if len(stored) == 0:
        raise ValueError("a bank of neighbours needs at least one row")
    near = min(VOTERS, len(stored))
    similarity = np.empty((len(asked), near), np.float32)
    rows = np.empty((len(asked), near), np.int64)
    for start in range(0, len(asked), BLOCK):
        cut = slice(start, start + BLOCK)
        # The bank first: one query is then a product of matrix and vector, a tenth of the time.
        found = np.ascontiguousarray((stored @ asked[cut].T).T)
        best = np.argpartition(found, found.shape[1] - near, axis=1)[:, -near:]
        values = np.take_along_axis(found, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        similarity[cut] = np.take_along_axis(values, order, axis=1)
        rows[cut] = np.take_along_axis(best, order, axis=1)
    return Neighbours(similarity, rows)


def class_rows(labels: Sequence[str], bank: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    """The class number of each example (text, label) of a bank, int64 [m]."""
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[label] for _, label in bank], dtype=np.int64)
