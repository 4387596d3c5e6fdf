"""Noisy labels: what is probably labelled wrongly weighs little or nothing.

    out_of_fold -> label_weights

Every label is judged by a model that did not see it. Confident learning counts how many labels of
each class are wrong and says which (Northcutt, Jiang and Chuang, "Confident learning: estimating
uncertainty in dataset labels", 2021, arXiv:1911.00068), as ``shared.evaluation.label_quality`` has
it. Those labels weigh nothing or little; but no class loses more than a share of its examples, so
that a rare class that the judge does not know is not wiped out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shared.evaluation.label_quality import suspected
from shared.finetuning.method_settings import MethodSettings

MOST_CLASSES: Final = 2_000
"""Classes up to which wrong labels are counted: the count is a matrix of classes by classes."""


class NoisyLabelSettings(MethodSettings):
    """Fields of ``recipe.noise``."""

    kind: Literal["none", "confident"] = Field(default="none", description="what is done")
    folds: int = Field(default=5, ge=2, le=50, description="that find them")
    weight: float = Field(
        default=0.0, ge=0, le=1, description="of a label that is probably wrong, in the loss"
    )
    kept: float = Field(
        default=0.5, gt=0, le=1, description="share of a class that counts fully, whatever is found"
    )
    fewest: int = Field(
        default=5, ge=2, description="examples of a class below which its labels are believed"
    )


@dataclass(frozen=True, slots=True)
class LabelWeights:
    """``weights`` float32[n]; how many of ``judged`` labels were ``found`` to be probably wrong."""

    weights: NDArray[np.float32]
    judged: int
    found: int


def stratified_folds(
    truth: NDArray[np.int64], groups: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int64]:
    """The fold of each example, int64[n]: each class spread evenly, no group torn apart.

    ``groups`` int64[n] numbers the groups; a group goes with the class of its first example.
    """
    draw = np.random.default_rng(seed)
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    home = truth[first]
    fold_of_group = np.empty(len(first), dtype=np.int64)
    for label in np.unique(home):
        own = draw.permutation(np.flatnonzero(home == label))
        fold_of_group[own] = (int(draw.integers(folds)) + np.arange(len(own))) % folds
    return fold_of_group[member]


def out_of_fold(
    vectors: NDArray[np.float32],
    truth: NDArray[np.int64],
    fold: NDArray[np.int64],
    *,
    regularisation: float = 10.0,
) -> NDArray[np.float64]:
    """Probabilities float64[n, classes] by logistic regression on the other folds.

    ``vectors`` float32[n, d]; ``truth`` int64[n] from 0, every class with examples. A class that
    the other folds lack has probability 0.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probabilities = np.zeros((len(truth), int(truth.max()) + 1))
    for held in np.unique(fold):
        inside = fold == held
        seen = np.unique(truth[~inside])
        if len(seen) < 2:
            probabilities[np.ix_(inside, seen)] = 1.0
            continue
        model = LogisticRegression(C=regularisation, max_iter=100, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(vectors[~inside], truth[~inside])
        probabilities[np.ix_(inside, model.classes_)] = model.predict_proba(vectors[inside])
    return probabilities


def label_weights(
    vectors: NDArray[np.float32],
    truth: NDArray[np.int64],
    settings: NoisyLabelSettings,
    *,
    groups: NDArray[np.int64] | None = None,
    seed: int = 1,
) -> LabelWeights:
    """What each label weighs, by the frozen ``vectors`` float32[n, d] of its texts.

    ``truth`` int64[n] are class numbers. Classes of fewer than ``settings.fewest`` examples are
    believed, and so are all where fewer than two or more than 2,000 classes are left. Where more
    than ``1 - kept`` of a class is found, the labels of it that are likeliest right still count.
    """
    weights = np.ones(len(truth), dtype=np.float32)
    counts = np.bincount(truth, minlength=1)
    rows = np.flatnonzero(counts[truth] >= settings.fewest)
    present, column = np.unique(truth[rows], return_inverse=True)
    if not 2 <= len(present) <= MOST_CLASSES:
        return LabelWeights(weights, 0, 0)
    together = np.arange(len(rows)) if groups is None else groups[rows]
    fold = stratified_folds(column, together, settings.folds, seed)
    probabilities = out_of_fold(vectors[rows], column, fold)
    sums = probabilities.sum(axis=1, keepdims=True)
    probabilities = np.where(sums > 0, probabilities / np.maximum(sums, 1e-12), 1 / len(present))
    wrong = suspected(column, probabilities)
    own = probabilities[np.arange(len(rows)), column]
    for number in range(len(present)):
        members = np.flatnonzero(column == number)
        most = len(members) - max(1, int(np.ceil(settings.kept * len(members))))
        found = members[wrong[members]]
        if len(found) > most:
            wrong[found[np.argsort(own[found], kind="stable")[most:]]] = False
    weights[rows[wrong]] = settings.weight
    return LabelWeights(weights, len(rows), int(wrong.sum()))
