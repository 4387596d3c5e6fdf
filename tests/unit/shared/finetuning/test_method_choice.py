"""``auto``: each line of the table, the budget, and never a method that lacks what it needs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.finetuning.budget import Estimate
from shared.finetuning.method_choice import Circumstances, choose_method
from shared.finetuning.methods import METHODS

pytestmark = pytest.mark.unit


def classes(*sizes: int) -> Counter[str]:
    return Counter({f"class {number}": size for number, size in enumerate(sizes)})


def minutes(budget: float, epochs: float = 4, **more: object) -> Circumstances:
    """A full training takes 10 seconds and 60 an epoch."""
    return Circumstances(budget=budget, estimate=Estimate(10, 60, epochs), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counts", "labels", "at_hand", "method"),
    [
        (classes(9, 9), 2, Circumstances(continued=True), "continual"),
        (classes(), 3, Circumstances(unlabelled=900), "zero_shot"),
        (classes(9, 9), 3, Circumstances(), "zero_shot"),
        (classes(3, 3, 90), 3, Circumstances(unlabelled=900), "head"),
        (classes(10, 10), 2, Circumstances(unlabelled=100), "self_training"),
        (classes(10, 10), 2, Circumstances(unlabelled=99), "distilled"),
        (classes(19, 19), 2, Circumstances(), "distilled"),
        (classes(20, 20), 2, Circumstances(), "full"),
        (classes(9, 9), 2, Circumstances(unlabelled=89), "contrastive"),
        (classes(4, 4), 2, minutes(3_600), "contrastive"),
        (classes(9, 9), 2, Circumstances(unlabelled=90), "self_training"),
        (classes(60, 60), 2, Circumstances(unlabelled=900), "full"),
        (classes(60, 60), 2, minutes(3_600), "distilled"),
        (classes(60, 60), 2, minutes(300), "full"),
        (classes(60, 60), 2, minutes(40), "head"),
        (classes(10, 10), 2, minutes(3_600), "distilled"),
        (classes(10, 10), 2, minutes(300), "full"),
        (classes(10, 10), 2, minutes(3_600, unlabelled=100), "self_training"),
        (classes(10, 10), 2, minutes(100, unlabelled=100), "full"),
        (classes(*[20] * 2_000), 2_000, minutes(3_600), "full"),
        (classes(*[10] * 1_000), 1_000, Circumstances(unlabelled=60_000), "full"),
    ],
)
def test_each_line_of_the_table(
    counts: Counter[str], labels: int, at_hand: Circumstances, method: str
) -> None:
    if method not in METHODS:
        pytest.skip(f"{method} is not built in")
    assert choose_method("auto", counts, labels, at_hand).method == method


def test_the_reason_is_one_sentence_with_the_numbers() -> None:
    at_hand = minutes(300, tokens=12.4, device="cuda")
    reason = choose_method("auto", classes(60, 80, 70), 3, at_hand).reason
    for part in ("210 examples", "12 tokens", "3 classes", "70 in the median", "5 min", "cuda"):
        assert part in reason
    assert "." not in reason.replace("4.2 min", "")


def test_a_short_budget_cuts_epochs_first_and_says_so() -> None:
    choice = choose_method("auto", classes(60, 60), 2, minutes(140))
    assert choice.method == "full"
    assert choice.fields["epochs"] == 2
    assert "2 instead of 4 epochs" in choice.reason


def test_a_budget_binds_a_method_that_was_asked_for() -> None:
    assert choose_method("full", classes(60, 60), 2, minutes(140)).fields["epochs"] == 2
    choice = choose_method("full", classes(60, 60), 2, minutes(5))
    assert choice.method == "full"
    assert choice.fields["epochs"] == 1
    assert "more than the budget" in choice.reason


def test_a_method_without_epochs_gets_none() -> None:
    choice = choose_method("head", classes(60, 60), 2, minutes(5))
    assert (choice.method, dict(choice.fields)) == ("head", {})
    assert "more than the budget" in choice.reason


def test_classes_are_weighed_where_one_drowns_the_others() -> None:
    drowned = choose_method("auto", classes(10, 10, 100), 3)
    assert drowned.fields["class_weights"] == "balanced"
    assert "10 times the median" in drowned.reason
    assert "class_weights" not in choose_method("auto", classes(10, 10, 99), 3).fields
    assert "class_weights" not in choose_method("full", classes(10, 10, 100), 3).fields


@given(
    sizes=st.lists(st.integers(1, 300), max_size=12),
    missing=st.integers(0, 3),
    unlabelled=st.integers(0, 5_000),
    continued=st.booleans(),
    budget=st.none() | st.floats(0.1, 1e5),
    epochs=st.floats(0.5, 20),
)
def test_no_method_lacks_what_it_needs(
    sizes: list[int], missing: int, unlabelled: int, continued: bool, budget: float | None,
    epochs: float,
) -> None:  # fmt: skip
    at_hand = Circumstances(
        unlabelled, continued, budget, None if budget is None else Estimate(5, 20, epochs)
    )
    choice = choose_method("auto", classes(*sizes), len(sizes) + missing, at_hand)
    needs = METHODS[choice.method]
    assert not needs.needs_unlabelled or unlabelled
    assert not needs.needs_version or continued
    if (missing or not sizes) and not continued:
        assert choice.method == "zero_shot"
    assert 0 < choice.fields.get("epochs", epochs) <= epochs
    assert choice.reason
