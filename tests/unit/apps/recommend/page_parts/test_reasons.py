"""Reasons in words: shares stay those of the API, and a bar of them is full."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommend.page_parts.reasons import (
    deed,
    missing_words,
    reason_parts,
    reasons_html,
)
from shared.api.recommend_lists import BecauseShape, MissingShape, NearestShape, ReasonsShape

pytestmark = pytest.mark.unit


def because(*shares: float, type: str = "view") -> list[BecauseShape]:
    return [
        BecauseShape(item=f"i{place}", title=f"Item {place}", type=type, share=share)
        for place, share in enumerate(shares)
    ]


@pytest.mark.parametrize(
    ("type", "told"),
    [
        ("view", "viewed Mug"),
        ("click", "clicked on Mug"),
        ("cart", "put Mug in the cart"),
        ("purchase", "bought Mug"),
        ("rating", "rated Mug"),
        ("borrowed", "did “borrowed” with Mug"),
    ],
)
def test_each_deed_reads_as_a_sentence(type: str, told: str) -> None:
    assert deed(type, "Mug") == told


def test_the_three_greatest_are_told_and_the_others_are_one() -> None:
    reasons = ReasonsShape(because=because(0.42, 0.2, 0.1, 0.08, 0.05), other=0.05, popular=0.1)
    sentences = [part.sentence for part in reason_parts(reasons)]
    assert sentences == [
        "because you viewed Item 0 (42 %)",
        "because you viewed Item 1 (20 %)",
        "because you viewed Item 2 (10 %)",
        "because of other things you did (18 %)",
        "because many take it (10 %)",
    ]


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=9), st.floats(0, 1))
def test_the_shares_of_the_sentences_sum_to_one(given_by: list[float], popular: float) -> None:
    whole = sum(given_by) + popular
    shares = sorted((one / whole for one in given_by), reverse=True)
    reasons = ReasonsShape(
        because=because(*shares[:5]), other=sum(shares[5:]), popular=popular / whole
    )
    told = [part.share for part in reason_parts(reasons) if part.share is not None]
    assert sum(told) == pytest.approx(1, abs=0.011)  # what is below half a percent is not told


def test_a_new_item_names_its_nearest_without_a_share() -> None:
    nearest = NearestShape(item="mug", title="Enamel mug")
    (part,) = reason_parts(ReasonsShape(because=[], popular=0, nearest=nearest))
    assert part.sentence == "new; its text is nearest to Enamel mug"
    assert "width:" not in reasons_html(ReasonsShape(because=[], popular=0, nearest=nearest))


def test_nothing_that_spoke_for_it_is_no_reason() -> None:
    assert reasons_html(ReasonsShape(because=[], popular=0)) == ""


def test_the_bar_is_as_long_as_its_shares() -> None:
    html = reasons_html(ReasonsShape(because=because(0.5, 0.25), popular=0.25))
    widths = [float(found) for found in re.findall(r"width:([\d.]+)%", html)]
    assert widths == [50.0, 25.0, 25.0]


def test_a_number_and_its_percent_sign_stay_on_one_line() -> None:
    assert "(42&nbsp;%)" in reasons_html(ReasonsShape(because=because(0.42), popular=0.58))


def test_a_title_is_escaped() -> None:
    hostile = BecauseShape(item="x", title="<b>Mug</b>", type="view", share=1.0)
    assert "<b>" not in reasons_html(ReasonsShape(because=[hostile], popular=0))


@pytest.mark.parametrize(
    ("reason", "items", "told"),
    [
        ("bought", 1, "1 item is bought already."),
        ("seen", 1200, "1,200 items are seen already."),
        ("catalogue_size", 3, "The catalogue has 3 items too few."),
        ("odd_reason", 2, "2 items are odd reason."),
    ],
)
def test_what_is_missing_reads_as_a_sentence(reason: str, items: int, told: str) -> None:
    assert missing_words(MissingShape(reason=reason, items=items)) == told
