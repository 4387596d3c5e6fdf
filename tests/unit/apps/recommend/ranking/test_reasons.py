"""Reasons are the score taken apart: shares add up to 1, contributions to the score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommend.ranking.reasons import Because, explain
from shared.histories import UserHistory
from tests.fakes.item_scorer import DECAY, FakeItemScorer

pytestmark = pytest.mark.unit

NOW = 1_700_000_000.0


def scorer_of(seed: int, n: int = 12) -> FakeItemScorer:
    draw = np.random.default_rng(seed)
    return FakeItemScorer.over(
        draw.normal(size=(n, 5)).astype(np.float32),
        popularity=draw.random(n),
        fitted=draw.random(n) < 0.7,
    )


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 1000),
    events=st.lists(
        st.tuples(st.integers(0, 11), st.floats(-3, 3, allow_nan=False, width=32)), max_size=15
    ),
    most=st.integers(1, 4),
)
def test_shares_add_up_to_one_and_contributions_to_the_score(
    seed: int, events: list[tuple[int, float]], most: int
) -> None:
    scorer = scorer_of(seed)
    history = UserHistory.of([row for row, _ in events], [weight for _, weight in events])
    scores = scorer.score(history, allowed=np.ones(12, bool), wanted=12, now=NOW)
    whole = explain(history, scorer, scores, now=NOW, most=None)
    cut = explain(history, scorer, scores, now=NOW, most=most)
    for place, (every, few) in enumerate(zip(whole, cut, strict=True)):
        popular = float(scores.parts["popular"][place])
        added = sum(one.contribution for one in (*every.because, *every.against))
        assert added + popular == pytest.approx(float(scores.totals[place]), abs=1e-4)
        shares = sum(one.share for one in every.because) + every.popular_share
        assert shares == pytest.approx(1.0 if every.because or popular > 0 else 0.0, abs=1e-9)
        assert every.other_share == 0
        assert few.because == every.because[:most]
        assert few.against == every.against[:most]
        left = sum(one.share for one in every.because[most:])
        assert few.other_share == pytest.approx(left, abs=1e-12)
        given_by = [one.contribution for one in every.because]
        assert given_by == sorted(given_by, reverse=True)
        assert all(one.contribution > 0 and 0 < one.share <= 1 for one in every.because)
        assert all(one.contribution < 0 and one.share == 0 for one in every.against)


def test_events_of_one_item_are_one_reason() -> None:
    scorer = FakeItemScorer.over(np.eye(3, dtype=np.float32) + 0.5, popularity=[0, 0, 0])
    history = UserHistory.of([1, 0, 1], [1, 1, 2])
    scores = scorer.score(history, allowed=np.array([False, False, True]), wanted=1, now=NOW)
    (reasons,) = explain(history, scorer, scores, now=NOW)
    cosine = float(scorer.vectors[2] @ scorer.vectors[1])
    twice, once = (DECAY**2 + 2) * cosine, DECAY * cosine
    assert [one.row for one in reasons.because] == [1, 0]
    assert [one.contribution for one in reasons.because] == pytest.approx([twice, once], rel=1e-5)
    assert reasons.because[0].share == pytest.approx(twice / (twice + once), rel=1e-5)


def test_what_speaks_against_an_item_is_told_apart() -> None:
    scorer = FakeItemScorer.over(np.ones((3, 2), np.float32), popularity=[0, 0, 0.5])
    history = UserHistory.of([0, 1], [1, -2])
    scores = scorer.score(history, allowed=np.array([False, False, True]), wanted=1, now=NOW)
    (reasons,) = explain(history, scorer, scores, now=NOW)
    assert reasons.against == (Because(1, 0.0, pytest.approx(-2.0)),)
    assert reasons.because[0].share == pytest.approx(0.8 / 0.85)
    assert reasons.popular_share == pytest.approx(0.05 / 0.85)


def test_an_unknown_user_is_given_what_is_popular_and_nothing_is_made_up() -> None:
    scorer = FakeItemScorer.over(np.eye(2, dtype=np.float32), popularity=[1, 0])
    nobody = UserHistory.of([])
    scores = scorer.score(nobody, allowed=np.ones(2, bool), wanted=2, now=NOW)
    popular, unknown = explain(nobody, scorer, scores, now=NOW)
    assert (popular.because, popular.popular_share) == ((), 1.0)
    assert (unknown.because, unknown.popular_share, unknown.other_share) == ((), 0.0, 0.0)
    assert popular.nearest is None


def test_a_new_item_names_the_liked_item_whose_text_is_nearest() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [1, 0.05]], np.float32)
    scorer = FakeItemScorer.over(vectors, fitted=[True, True, True, False])
    history = UserHistory.of([2, 1, 0, 3], [1, 1, -2, 1])
    scores = scorer.score(history, allowed=np.ones(4, bool), wanted=4, now=NOW)
    reasons = {one.row: one for one in explain(history, scorer, scores, now=NOW)}
    # Row 0 is nearer and was disliked; row 3 is the item itself.
    assert reasons[3].nearest == 1
    assert reasons[3].nearest_similarity == pytest.approx(
        float(scorer.vectors[3] @ scorer.vectors[1])
    )
    assert reasons[2].nearest is None
    itself = UserHistory.of([3])
    scores = scorer.score(itself, allowed=np.ones(4, bool), wanted=4, now=NOW)
    assert explain(itself, scorer, scores, now=NOW)[3].nearest is None


def test_at_least_one_reason_is_asked_for() -> None:
    scorer = scorer_of(0)
    scores = scorer.score(UserHistory.of([]), allowed=np.ones(12, bool), wanted=1, now=NOW)
    with pytest.raises(ValueError, match="at least 1"):
        explain(UserHistory.of([]), scorer, scores, now=NOW, most=0)
