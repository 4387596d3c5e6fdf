"""Noisy labels: what is probably labelled wrongly weighs little or nothing.

    out_of_fold -> judge_labels

Every label is judged by a model that did not see it. Confident learning counts how many labels of
each class are wrong and says which (Northcutt, Jiang and Chuang, "Confident learning: estimating
uncertainty in dataset labels", 2021, arXiv:1911.00068), as ``shared.evaluation.label_quality`` has
it. Those labels are taken away; but no class loses more than a share of its examples, so that a
rare class that the judge does not know is not wiped out. The text then gets the label that flows to
it along a graph of near texts (``label_propagation``), or weighs little.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shared.evaluation.calibration import softmax
from shared.evaluation.label_quality import suspected
from shared.finetuning.label_propagation import neighbour_graph, propagate
from shared.finetuning.linear_head import fit_linear_head
from shared.finetuning.method_settings import MethodSettings

MOST_CLASSES: Final = 2_000
"""Classes up to which wrong labels are counted: the count is a matrix of classes by classes."""

NEIGHBOURS: Final = 15
SHARE: Final = 0.95
"""From how many near texts a new label comes, and how much of it: those of self-training."""


class NoisyLabelSettings(MethodSettings):
    """Fields of ``recipe.noise``."""

    kind: Literal["none", "confident"] = Field(default="none", description="what is done")
    folds: int = Field(default=5, ge=2, le=50, description="that find them")
    relabel: bool = Field(
        default=True, description="whether such a text gets the label of the texts around it"
    )
    weight: float = Field(
        default=0.0, ge=0, le=1, description="of a wrong label in the loss, where it is kept"
    )
    kept: float = Field(
        default=0.5, gt=0, le=1, description="share of a class that counts fully, whatever is found"
    )
    fewest: int = Field(
        default=5, ge=2, description="examples of a class below which its labels are believed"
    )


@dataclass(frozen=True, slots=True)
class JudgedLabels:
    """``truth`` int64[n] is what to learn and ``weights`` float32[n] how much each counts.

    Of ``judged`` labels ``found`` were probably wrong.
    """

    truth: NDArray[np.int64]
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


def judge_labels(
    vectors: NDArray[np.float32],
    truth: NDArray[np.int64],
    settings: NoisyLabelSettings,
    *,
    groups: NDArray[np.int64] | None = None,
    seed: int = 1,
) -> JudgedLabels:
    """What each text is taught as and how much it weighs.

    ``vectors`` float32[n, d] are those of the texts by a frozen encoder, ``truth`` int64[n] class
    numbers. Classes of fewer than ``settings.fewest`` examples are believed, and so are all where
    fewer than two or more than 2,000 classes are left. Where more than ``1 - kept`` of a class is
    found, the labels of it that are likeliest right still stand.
    """
    weights = np.ones(len(truth), dtype=np.float32)
    counts = np.bincount(truth, minlength=1)
    rows = np.flatnonzero(counts[truth] >= settings.fewest)
    present, column = np.unique(truth[rows], return_inverse=True)
    if not 2 <= len(present) <= MOST_CLASSES:
        return JudgedLabels(truth, weights, 0, 0)
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
    taught = truth.copy()
    if settings.relabel and wrong.any():
        taught[rows[wrong]] = present[_labels_around(vectors[rows], column, wrong)]
    else:
        weights[rows[wrong]] = settings.weight
    return JudgedLabels(taught, weights, len(rows), int(wrong.sum()))


def _labels_around(
    vectors: NDArray[np.float32], truth: NDArray[np.int64], wrong: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The class number of each text whose label is ``wrong``, in order, from all other texts."""
    head = fit_linear_head(vectors[~wrong], truth[~wrong], classes=int(truth.max()) + 1)
    said = softmax(head.logits(vectors), 1.0)
    graph = neighbour_graph([vectors], NEIGHBOURS)
    flowed = propagate(graph, said, np.where(wrong, -1, truth), SHARE)
    return np.asarray(flowed[wrong].argmax(axis=1), dtype=np.int64)
