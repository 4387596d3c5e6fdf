from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.support.learning.corrections import with_corrections
from shared.records import OUT_OF_SCOPE, Dataset, Example

pytestmark = pytest.mark.unit

ORIGINAL = Dataset(
    "shop",
    (
        Example("where is my parcel", "track_order", "train"),
        Example("give it back", "track_order", "test"),
        Example("cancel it", "cancel_order"),
    ),
)


def corrected_by(*corrections: Example) -> dict[str, Example]:
    dataset = with_corrections(ORIGINAL, Dataset("feedback", corrections)).dataset
    return {example.text: example for example in dataset.examples}


def test_a_correction_replaces_the_label_of_the_same_text_whatever_its_case() -> None:
    examples = corrected_by(Example("Cancel  IT", "refund", details={"author": "Ada"}))
    assert examples["cancel it"].label == "refund"
    assert examples["cancel it"].details == {"author": "Ada", "corrected_from": "cancel_order"}
    assert len(examples) == 3


def test_a_corrected_test_example_stays_in_test() -> None:
    assert corrected_by(Example("give it back", "refund"))["give it back"].split == "test"


def test_a_new_text_goes_to_training() -> None:
    assert corrected_by(Example("give me my money", "refund"))["give me my money"].split == "train"


def test_a_text_can_be_called_out_of_scope() -> None:
    assert corrected_by(Example("cancel it", OUT_OF_SCOPE))["cancel it"].label == OUT_OF_SCOPE


def test_the_newest_correction_of_a_text_holds() -> None:
    examples = corrected_by(Example("cancel it", "refund"), Example("cancel it", "track_order"))
    assert examples["cancel it"].label == "track_order"


def test_what_was_corrected_is_given_to_training_unless_the_source_holds_it_out() -> None:
    texts = ["where is my parcel", "give it back", "cancel it", "hello"]
    corrections = tuple(Example(text, "refund") for text in texts)
    corrected = with_corrections(ORIGINAL, Dataset("feedback", corrections))
    trained = [example for example in corrections if example.key in corrected.splits]
    assert [example.text for example in trained] == ["where is my parcel", "cancel it", "hello"]
    assert set(corrected.splits.values()) == {"train"}


def test_what_changed_is_counted() -> None:
    corrections = (
        Example("where is my parcel", "track_order"),
        Example("cancel it", "refund"),
        Example("hello", "greeting"),
    )
    corrected = with_corrections(ORIGINAL, Dataset("feedback", corrections))
    assert (corrected.relabelled, corrected.added) == (1, 1)


LABELS = st.sampled_from(["a", "b", OUT_OF_SCOPE])
EXAMPLES = st.lists(st.builds(Example, st.sampled_from("stuvwxyzTUV"), LABELS), max_size=12)


@given(EXAMPLES, EXAMPLES)
def test_each_text_bears_its_newest_label_once_laid_over_and_twice(
    original: list[Example], corrections: list[Example]
) -> None:
    first, second = Dataset("d", tuple(original)), Dataset("f", tuple(corrections))
    dataset = with_corrections(first, second).dataset
    newest = {example.key: example.label for example in [*original, *corrections]}
    assert {example.key for example in dataset.examples} == set(newest)
    overruled = {example.key for example in corrections}
    assert all(ex.label == newest[ex.key] for ex in dataset.examples if ex.key in overruled)
    again = with_corrections(dataset, second)
    assert (again.dataset, again.relabelled, again.added) == (dataset, 0, 0)
