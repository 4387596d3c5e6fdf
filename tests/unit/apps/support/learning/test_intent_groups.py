from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.support.learning.intent_groups import group_by_meaning, name_groups, words_of

pytestmark = pytest.mark.unit

GIFTS = ["do you sell gift cards", "where can I buy a gift card", "I want gift cards please"]
JOBS = ["are you hiring", "do you have a job for me, a warehouse job", "are any job offers open"]


def test_rows_that_lie_together_are_a_group_and_stray_rows_are_not() -> None:
    random = np.random.default_rng(1)
    axis = np.eye(8)
    rows = np.concatenate(
        [
            axis[[0] * 3] + random.normal(scale=0.05, size=(3, 8)),
            axis[[1] * 5] + random.normal(scale=0.05, size=(5, 8)),
            axis[[2, 3, 4]],
        ]
    )
    large, small = group_by_meaning(rows)
    assert sorted(large.rows) == [3, 4, 5, 6, 7]
    assert sorted(small.rows) == [0, 1, 2]
    assert 0.95 < small.cohesion <= 1.0


def test_cohesion_is_the_mean_cosine_to_the_centre_and_the_central_row_comes_first() -> None:
    degrees = np.radians([-30.0, 0.0, 30.0])
    rows = np.column_stack([np.cos(degrees), np.sin(degrees)])
    (group,) = group_by_meaning(rows)
    assert group.rows[0] == 1
    assert group.cohesion == pytest.approx((1 + 2 * np.cos(np.radians(30))) / 3)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_rows_than_a_group_needs_give_no_group(n: int) -> None:
    assert group_by_meaning(np.ones((n, 3)), min_size=3) == []


def test_rows_without_an_embedding_are_in_no_group() -> None:
    assert group_by_meaning(np.zeros((4, 3))) == []


def test_a_group_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        group_by_meaning(np.ones((3, 3)), min_size=1)


def test_names_come_from_the_words_that_tell_a_group_from_the_others() -> None:
    assert name_groups([GIFTS, JOBS]) == ["gift_cards", "job"]


def test_a_word_of_all_groups_tells_nothing() -> None:
    groups = [[f"shopname {word} now" for _ in range(3)] for word in ("parcel", "voucher")]
    first, second = name_groups(groups)
    assert first.split("_").index("parcel") >= 0
    assert second.split("_").index("voucher") >= 0


def test_a_contraction_is_no_name() -> None:
    assert name_groups([["I'd like a job", "I'd want a job", "I'd take a job"]]) == ["job"]


def test_a_masked_place_is_no_word() -> None:
    assert words_of("write to [email] or <phone number>, don't call") == [
        "write", "to", "or", "don't", "call",
    ]  # fmt: skip


def test_two_groups_of_the_same_words_and_taken_names_get_a_number() -> None:
    groups = [["refund"] * 3, ["refund"] * 3]
    assert name_groups(groups) == ["refund", "refund_2"]
    assert name_groups(groups, taken=["refund"]) == ["refund_2", "refund_3"]


@settings(deadline=None)  # the first example imports scikit-learn
@given(st.lists(st.lists(st.text(max_size=20), min_size=3, max_size=4), max_size=4))
def test_any_texts_get_valid_names_that_differ(groups: list[list[str]]) -> None:
    names = name_groups(groups)
    assert len(set(names)) == len(groups)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_]{0,79}", name) for name in names)
