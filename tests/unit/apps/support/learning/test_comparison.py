from __future__ import annotations

import pytest

from apps.support.learning.comparison import compare_recall

pytestmark = pytest.mark.unit


def test_losses_are_points_of_recall_and_the_largest_comes_first() -> None:
    truth = ["a"] * 4 + ["b"] * 2 + ["c"]
    before = ["a"] * 4 + ["b"] * 2 + ["a"]
    after = ["a", "a", "a", "new", "b", "new", "c"]
    compared = compare_recall(truth, before, after)
    assert compared.losses == (("b", 50.0), ("a", 25.0))
    assert compared.largest == ("b", 50.0)
    assert compared.accuracy_before == pytest.approx(6 / 7)
    assert compared.accuracy_after == pytest.approx(5 / 7)


def test_a_gain_is_no_loss() -> None:
    compared = compare_recall(["a", "b"], ["b", "b"], ["a", "b"])
    assert compared.largest == (None, 0.0)
    assert compared.objection() is None


@pytest.mark.parametrize(("wrong", "allowed"), [(1, True), (2, False)])
def test_one_point_may_be_lost_and_no_more(wrong: int, allowed: bool) -> None:
    truth = ["a"] * 100
    compared = compare_recall(truth, truth, ["new"] * wrong + ["a"] * (100 - wrong))
    assert (compared.objection() is None) is allowed


def test_a_swap_within_an_intent_that_keeps_its_recall_is_no_loss() -> None:
    compared = compare_recall(["a", "a"], ["a", "b"], ["b", "a"])
    assert compared.losses == ()


def test_the_objection_names_the_intents_and_their_losses() -> None:
    objection = compare_recall(["a", "a"], ["a", "a"], ["a", "b"]).objection()
    assert objection is not None
    assert "a 50.0" in objection


def test_nothing_to_compare_is_no_objection() -> None:
    compared = compare_recall([], [], [])
    assert (compared.examples, compared.accuracy_before) == (0, 0.0)
    assert compared.objection() is None


def test_predictions_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="2 labels, 1 and 2"):
        compare_recall(["a", "b"], ["a"], ["a", "b"])
