"""Faults of the labels: likely wrong ones, classes that overlap, classes too small or too large.

Wrong labels are found by confident learning (Northcutt, Jiang, Chuang 2021, arXiv:1911.00068) as
cleanlab has it: how many there are is counted by classes' own mean probabilities, and that many of
the lowest self-confidence are reported. Small classes are counted too low, so a label that another
one beats by far is reported as well. On Banking77 with one label in twenty replaced at random this
finds 95 in 100 of them at a precision of .90 (the data has wrong labels of its own); the count
alone finds 90 at .94, and cleanlab's other filters do worse on both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.findings import Finding, excerpt, listed

FAR_BETTER: Final = 50.0
"""Times a label's own probability from which another class is meant, whatever the count says."""

OVERLAP: Final = 0.05
"""Share of two classes' texts that are taken for the other class from which they overlap."""

LEAST_EACH_WAY: Final = 0.02
FEWEST_CONFUSED: Final = 3

TINY: Final = 5
"""A class of fewer examples cannot be learned and measured."""

IMBALANCE: Final = 10.0
"""Times the median class from which the largest one drowns the others."""


def likely_wrong_labels(
    texts: Sequence[str],
    truth: NDArray[np.int_],
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
    rows: Sequence[int],
) -> list[Finding]:
    """Texts whose label is probably wrong, the most certain first.

    ``truth`` int [n] and out-of-fold ``probabilities`` float [n, k] belong to the texts at
    ``rows`` (n positions); ``classes`` names the k columns.
    """
    present = np.unique(truth)
    if len(present) < 2:
        return []
    column = np.searchsorted(present, truth)
    kept = probabilities[:, present]
    kept = kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-12)
    own, best = kept[np.arange(len(kept)), column], kept.max(axis=1)
    suspicious = suspected(column, kept)
    findings = []
    for issue in sorted(np.flatnonzero(suspicious).tolist(), key=lambda row: float(own[row])):
        given, meant = classes[truth[issue]], classes[present[kept[issue].argmax()]]
        details = {
            "given": given,
            "suggested": meant,
            "given_probability": float(own[issue]),
            "suggested_probability": float(best[issue]),
        }
        message = f'"{excerpt(texts[rows[issue]])}" is labelled {given}, looks like {meant}'
        findings.append(Finding("likely_wrong_label", "warning", message, (rows[issue],), details))
    return listed(findings, most=2_000)


def suspected(truth: NDArray[np.int_], probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which labels are probably wrong, bool [n]; every one of the k classes has examples.

    ``truth`` int [n], ``probabilities`` float [n, k] out of fold, rows adding up to 1.
    """
    from cleanlab.filter import find_label_issues

    own, best = probabilities[np.arange(len(truth)), truth], probabilities.max(axis=1)
    suspicious = best > FAR_BETTER * own
    counted = find_label_issues(
        truth,
        probabilities,
        return_indices_ranked_by="self_confidence",
        filter_by="low_self_confidence",
        n_jobs=1,
    )
    suspicious[counted] = True
    return np.asarray(suspicious & (best > own))


def overlapping_classes(
    truth: NDArray[np.int_],
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
    rows: Sequence[int],
) -> list[Finding]:
    """Pairs of classes taken for one another in both directions, the most confused first.

    Inputs as for ``likely_wrong_labels``. ``confusion`` is the mean of both directions' shares.
    """
    size = len(classes)
    predicted = probabilities.argmax(axis=1)
    counts = np.zeros((size, size))
    np.add.at(counts, (truth, predicted), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mutual = (shares + shares.T) / 2
    overlapping = (
        np.triu(mutual >= OVERLAP, 1)
        & (np.minimum(shares, shares.T) >= LEAST_EACH_WAY)
        & (counts + counts.T >= FEWEST_CONFUSED)
    )
    findings = []
    for a, b in sorted(np.argwhere(overlapping).tolist(), key=lambda pair: -mutual[tuple(pair)]):
        confused = np.flatnonzero(
            ((truth == a) & (predicted == b)) | ((truth == b) & (predicted == a))
        )
        message = (
            f"{classes[a]} and {classes[b]} overlap: {shares[a, b]:.0%} of {classes[a]} look like "
            f"{classes[b]}, {shares[b, a]:.0%} the other way. Merge them, or sharpen their examples"
        )
        details = {
            "first": classes[a],
            "second": classes[b],
            "confusion": float(mutual[a, b]),
            "confused": len(confused),
        }
        members = tuple(rows[position] for position in confused.tolist())
        findings.append(Finding("overlapping_intents", "warning", message, members, details))
    return listed(findings)


def class_sizes(labels: Sequence[str]) -> list[Finding]:
    """Tiny classes, one finding each, and a largest class that outweighs the others."""
    counts = Counter(labels)
    findings = []
    for label, count in sorted(counts.items(), key=lambda item: (item[1], item[0])):
        if count < TINY:
            examples = "example" if count == 1 else "examples"
            message = f"{label} has {count} {examples}: add more, or merge it with another"
            members = tuple(row for row, other in enumerate(labels) if other == label)
            details = {"label": label, "examples": count}
            findings.append(Finding("tiny_class", "warning", message, members, details))
    findings = listed(findings)
    if len(counts) > 1:
        label, largest = counts.most_common(1)[0]
        median = float(np.median(list(counts.values())))
        if largest >= IMBALANCE * median:
            message = (
                f"{label} has {largest} examples, {largest / median:.0f} times the median class: "
                "train with class weights, or balance the data"
            )
            details = {"label": label, "examples": largest, "median": median}
            findings.append(Finding("class_imbalance", "warning", message, (), details))
    return findings
