"""Splits that never leak, whatever the file looks like."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import EmptyData, SingleClass
from shared.finetuning.splits import Shares, assignments, fold_examples, split_examples
from shared.records import OUT_OF_SCOPE, SPLIT_NAMES, Dataset, Example

pytestmark = pytest.mark.unit


def many(label: str, count: int) -> list[Example]:
    return [Example(f"{label} message number {number}", label) for number in range(count)]


def data(*examples: Example) -> Dataset:
    return Dataset("test", tuple(examples))


def test_each_class_is_split_in_the_same_shares() -> None:
    splits = split_examples(data(*many("a", 100), *many("b", 40)), Shares(0.1, 0.05, 0.2))
    for name, share in (("test", 0.2), ("gate", 0.05), ("validation", 0.1), ("train", 0.65)):
        counts = Counter(example.label for example in splits[name])  # type: ignore[index]
        assert counts == {"a": round(100 * share), "b": round(40 * share)}


def test_the_order_of_the_file_plays_no_part() -> None:
    examples = many("a", 50) + many("b", 50)
    shuffled = examples[:]
    random.Random(3).shuffle(shuffled)
    assert assignments(split_examples(data(*examples))) == assignments(
        split_examples(data(*shuffled))
    )


def test_a_text_that_differs_in_case_and_space_is_one_text() -> None:
    copies = [Example("Message  B 7", "b"), Example("message b 7 ", "b", "test")]
    splits = split_examples(data(*many("a", 20), *many("b", 20), *copies))
    assert splits.removed_duplicates == 1
    assert sum(example.key == copies[0].key for example in splits.test) == 1


def test_the_most_held_out_copy_stays() -> None:
    inside = Example("where is it", "a", "train")
    outside = Example("WHERE is it", "b", "test")
    splits = split_examples(data(inside, outside, *many("a", 20), *many("b", 20)))
    assert [e.label for e in splits.test if e.key == outside.key] == ["b"]
    assert all(e.key != outside.key for e in splits.train)


def test_a_text_with_two_labels_in_one_split_is_removed() -> None:
    clash = [Example("same words", "a"), Example("Same words", "b")]
    splits = split_examples(data(*clash, *many("a", 20), *many("b", 20)))
    assert splits.removed_conflicts == 2
    assert clash[0].key not in assignments(splits)


def test_stated_splits_stand_and_only_the_missing_are_drawn() -> None:
    stated = [Example(f"test {n}", "a", "test") for n in range(5)]
    training = [Example(e.text, e.label, "train") for e in many("a", 100) + many("b", 100)]
    splits = split_examples(data(*stated, *training), Shares(0.1, 0.05, 0.3))
    assert {e.text for e in splits.test} == {e.text for e in stated}
    assert splits.counts() == {"train": 170, "validation": 20, "gate": 10, "test": 5}


def test_no_example_moves_between_versions() -> None:
    first = split_examples(data(*many("a", 60), *many("b", 60)))
    known = assignments(first)
    second = split_examples(data(*many("a", 90), *many("b", 60), *many("c", 30)), assigned=known)
    now = assignments(second)
    assert all(now[key] == name for key, name in known.items())
    assert len(now) == 180
    assert {e.label for e in second.test} == {"a", "b", "c"}


def test_new_examples_that_state_train_train() -> None:
    known = assignments(split_examples(data(*many("a", 60), *many("b", 60))))
    fresh = [Example(f"fresh {n}", "a", "train") for n in range(40)]
    splits = split_examples(data(*many("a", 60), *many("b", 60), *fresh), assigned=known)
    assert {e.key for e in fresh} <= {e.key for e in splits.train}


def test_a_corrected_label_replaces_the_old_one() -> None:
    examples = many("a", 60) + many("b", 60)
    known = assignments(split_examples(data(*examples)))
    corrected = Example(examples[0].text, "b")
    splits = split_examples(data(*examples, corrected), assigned=known)
    found = [e for name in SPLIT_NAMES for e in splits[name] if e.key == corrected.key]
    assert [e.label for e in found] == ["b"]


def test_a_class_of_one_trains() -> None:
    splits = split_examples(data(*many("a", 20), *many("b", 20), Example("lonely", "c")))
    assert "c" in splits.labels


def test_out_of_scope_is_no_class() -> None:
    strays = [Example(f"stray {n}", OUT_OF_SCOPE) for n in range(10)]
    splits = split_examples(data(*many("a", 20), *many("b", 20), *strays))
    assert splits.labels == ("a", "b")


def test_one_class_is_refused() -> None:
    with pytest.raises(SingleClass, match="two are needed"):
        split_examples(data(*many("a", 20)))


def test_no_training_example_is_refused() -> None:
    with pytest.raises(EmptyData):
        split_examples(data(Example("only", OUT_OF_SCOPE)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["Hi", "hi ", "order", "ORDER", "late", "pay now", "pay  NOW", "x", "y"]
            ),
            st.sampled_from(["a", "b", OUT_OF_SCOPE]),
            st.sampled_from([None, "train", "validation", "gate", "test"]),
        ),
        max_size=25,
    )
)
def test_no_text_ever_stands_in_two_splits(rows: list[tuple[str, str, None]]) -> None:
    extra = many("a", 12) + many("b", 12)
    splits = split_examples(data(*(Example(*row) for row in rows), *extra))
    keys = [example.key for name in SPLIT_NAMES for example in splits[name]]
    assert len(keys) == len(set(keys))
    kept = len(keys) + splits.removed_duplicates + splits.removed_conflicts
    assert kept == len(rows) + len(extra)


def asked_about(headlines: int) -> list[Example]:
    """Headlines that are each asked about two companies, good for one and bad for the other."""
    return [
        Example(f"{marked} {number}", label, group=f"headline {number}")
        for number in range(headlines)
        for marked, label in (("[ one ] beats two", "good"), ("one beats [ two ]", "bad"))
    ]


def test_a_group_is_never_torn_apart() -> None:
    splits = split_examples(data(*asked_about(100)), Shares(0.1, 0.1, 0.2))
    counts = {name: len({e.group for e in splits[name]}) for name in SPLIT_NAMES}
    assert counts["test"] == 20
    assert counts["gate"] == counts["validation"] == 10
    assert splits.counts() == {name: 2 * count for name, count in counts.items()}


def test_a_group_goes_where_its_most_held_out_member_goes() -> None:
    stated = [
        Example("[ a ] b", "good", "train", group="g"),
        Example("a [ b ]", "bad", "test", group="g"),
    ]
    splits = split_examples(data(*stated, *many("good", 20), *many("bad", 20)))
    assert {e.group for e in splits.test} >= {"g"}
    assert all(e.group != "g" for e in splits.train)


def test_a_new_question_about_a_known_headline_stays_in_its_split() -> None:
    first = split_examples(data(*asked_about(60)))
    asked = first.test[0].group
    later = data(*asked_about(60), Example("who won?", "good", group=asked))
    second = split_examples(later, assigned=assignments(first))
    assert "who won?" in {example.text for example in second.test}


def test_the_order_of_the_file_plays_no_part_for_groups() -> None:
    examples = asked_about(50)
    turned = split_examples(data(*reversed(examples)))
    assert assignments(split_examples(data(*examples))) == assignments(turned)


def test_folds_hold_every_example_once_and_each_class_evenly() -> None:
    folds = fold_examples([*many("a", 50), *many("b", 25)], 5)
    assert [Counter(e.label for e in fold) for fold in folds] == [{"a": 10, "b": 5}] * 5
    assert len({e.key for fold in folds for e in fold}) == 75


def test_folds_tear_no_group_apart() -> None:
    folds = fold_examples(asked_about(30), 3)
    assert [len({e.group for e in fold}) for fold in folds] == [10, 10, 10]
    assert all(len(fold) == 20 for fold in folds)
