"""The largest pairs, the classes to show, and an order that keeps them together."""

from __future__ import annotations

import numpy as np
import pytest

from shared.evaluation.classification import confusion_matrix
from shared.evaluation.report_confusions import (
    Confusion,
    draw_matrix,
    largest_confusions,
    listed_classes,
    most_confused,
    shorten,
    side_by_side,
)

pytestmark = pytest.mark.unit

COUNTS = np.array([[8, 2, 0, 0], [0, 10, 0, 0], [0, 0, 5, 5], [1, 0, 3, 6]])


def test_the_largest_pairs_come_first() -> None:
    assert largest_confusions(COUNTS, list("abcd"), most=3) == [
        Confusion("c", "d", 5, 0.5),
        Confusion("d", "c", 3, 0.3),
        Confusion("a", "b", 2, 0.2),
    ]
    assert largest_confusions(np.diag([3, 4]), ["a", "b"]) == []


def test_the_classes_of_the_largest_pairs_are_chosen() -> None:
    assert most_confused(COUNTS, most=2) == [2, 3]
    assert most_confused(COUNTS, most=3) == [2, 3]
    assert most_confused(COUNTS) == [0, 1, 2, 3]
    assert most_confused(np.diag([3, 4])) == []


def test_of_too_many_classes_those_with_errors_are_listed_and_no_text_of_theirs_is_lost() -> None:
    truth = np.array([0, 0, 0, 5, 5, 7, 8, 9, 9])
    said = np.array([0, 0, 5, 5, 9, 7, 8, 9, 8])
    labels = [f"class {number}" for number in range(10)]
    assert listed_classes(truth, said, labels).whole
    listed = listed_classes(truth, said, labels, most=2)
    assert listed.labels == ["class 5", "class 9", "8 other classes"]
    assert not listed.whole
    counts = confusion_matrix(listed.truth, listed.predicted, 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 0]]


def test_confused_classes_stand_side_by_side_and_none_is_lost() -> None:
    counts = np.diag([20] * 8)
    counts[0, 7] = counts[7, 0] = counts[2, 5] = 6
    order = side_by_side(counts, list(range(8)))
    assert sorted(order) == list(range(8))
    assert abs(order.index(0) - order.index(7)) == 1
    assert abs(order.index(2) - order.index(5)) == 1
    assert side_by_side(counts, [3, 1]) == [3, 1]


def test_each_count_is_drawn_with_its_meaning() -> None:
    drawing = draw_matrix(COUNTS, ["a<b", "b", "c", "d"], [2, 3, 0], 24)
    assert drawing.count('class="cell') == 6
    assert "5 of 10 c said to be d" in drawing
    assert "a&lt;b" in drawing
    assert "a<b" not in drawing


def test_a_long_name_keeps_both_ends() -> None:
    assert shorten("short", 10) == "short"
    assert shorten("transfer_not_received_by_recipient", 11) == "trans…pient"
