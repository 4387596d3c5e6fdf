"""Wrong labels, overlapping and badly sized classes, on data whose faults are known."""

from __future__ import annotations

import numpy as np
import pytest

from shared.evaluation.label_quality import class_sizes, likely_wrong_labels, overlapping_classes

pytestmark = pytest.mark.unit

CLASSES = ("cancel", "refund", "track")


def sure_of(columns: np.ndarray, confidence: float = 0.9) -> np.ndarray:
    """Probabilities that are sure of the given columns."""
    rest = (1 - confidence) / (len(CLASSES) - 1)
    probabilities = np.full((len(columns), len(CLASSES)), rest)
    probabilities[np.arange(len(columns)), columns] = confidence
    return probabilities


def test_labels_that_all_predictions_contradict_are_found_and_ranked() -> None:
    meant = np.repeat([0, 1, 2], 20)
    truth = meant.copy()
    truth[[3, 45]] = [2, 0]
    probabilities = sure_of(meant)
    probabilities[45] = [0.001, 0.001, 0.998]
    rows = list(range(100, 160))
    texts = [""] * 100 + [f"text {row}" for row in rows]
    findings = likely_wrong_labels(texts, truth, probabilities, CLASSES, rows)
    assert [finding.rows for finding in findings] == [(145,), (103,)]
    assert findings[0].details["given"] == "cancel"
    assert findings[0].details["suggested"] == "track"
    assert findings[0].details["suggested_probability"] == pytest.approx(0.998)
    assert findings[0].message == '"text 145" is labelled cancel, looks like track'


def test_a_label_that_another_one_beats_by_far_is_found_whatever_the_count_says() -> None:
    truth = np.repeat([0, 1, 2], 10)
    probabilities = sure_of(truth, 0.6)
    probabilities[3] = [0.01, 0.59, 0.4]  # 59 times as probable, yet below the mean of "refund"
    probabilities[4] = [0.3, 0.4, 0.3]
    findings = likely_wrong_labels(["x"] * 30, truth, probabilities, CLASSES, range(30))
    assert [finding.rows for finding in findings] == [(3,)]


def test_right_labels_give_no_finding() -> None:
    truth = np.repeat([0, 1, 2], 20)
    assert likely_wrong_labels(["x"] * 60, truth, sure_of(truth), CLASSES, range(60)) == []


def test_a_column_without_examples_does_not_matter() -> None:
    truth = np.repeat([0, 2], 20)
    probabilities = sure_of(np.repeat([0, 2], 20))
    truth[5] = 2
    findings = likely_wrong_labels(["x"] * 40, truth, probabilities, CLASSES, range(40))
    assert [finding.details["suggested"] for finding in findings] == ["cancel"]


def test_one_class_alone_cannot_be_judged() -> None:
    truth = np.zeros(5, dtype=np.int64)
    assert likely_wrong_labels(["x"] * 5, truth, sure_of(truth), CLASSES, range(5)) == []


def test_classes_taken_for_one_another_both_ways_overlap() -> None:
    truth = np.repeat([0, 1, 2], 20)
    predicted = truth.copy()
    predicted[[0, 1, 20, 21, 22]] = [1, 1, 0, 0, 0]  # cancel and refund, both ways
    predicted[[40, 41, 42, 43]] = 0  # track as cancel, but never the other way
    (finding,) = overlapping_classes(truth, sure_of(predicted), CLASSES, range(60))
    assert finding.rows == (0, 1, 20, 21, 22)
    assert finding.details["first"] == "cancel"
    assert finding.details["second"] == "refund"
    assert finding.details["confusion"] == pytest.approx((2 / 20 + 3 / 20) / 2)
    assert "10% of cancel look like refund, 15% the other way" in finding.message


def test_tiny_classes_and_a_class_that_outweighs_the_others() -> None:
    labels = ["big"] * 100 + ["a"] * 6 + ["b"] * 5 + ["tiny"] * 2
    findings = class_sizes(labels)
    assert [(finding.kind, finding.details["label"]) for finding in findings] == [
        ("tiny_class", "tiny"),
        ("class_imbalance", "big"),
    ]
    assert findings[0].rows == (111, 112)
    assert findings[1].details["median"] == 5.5


def test_classes_of_a_size_are_fine() -> None:
    assert class_sizes(["a"] * 5 + ["b"] * 9) == []
    assert class_sizes([]) == []
