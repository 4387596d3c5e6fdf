"""One story that cannot be scored costs no other its score."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance.records import StoryText
from apps.finance.scoring.each import MOST_FAILURES, score_each
from tests.fakes.story_scorer import WordScorer

pytestmark = pytest.mark.unit


@given(st.lists(st.booleans(), max_size=40).filter(lambda bad: sum(bad) < MOST_FAILURES))
def test_all_but_those_that_fail_have_the_score_that_they_have_alone(bad: list[bool]) -> None:
    texts = [
        StoryText(f"Story {number} {'breaks' if broken else 'wins'}", "")
        for number, broken in enumerate(bad)
    ]
    found = score_each(WordScorer(fails_on="breaks"), texts)
    alone = WordScorer()
    for text, score, broken in zip(texts, found, bad, strict=True):
        assert score == (None if broken else alone.score([text])[0])


def test_one_call_is_enough_where_nothing_fails() -> None:
    scorer = WordScorer()
    score_each(scorer, [StoryText("one", ""), StoryText("two", "")])
    assert len(scorer.scored) == 1
    assert score_each(scorer, []) == []
    assert len(scorer.scored) == 1


def test_a_scorer_that_fails_on_all_is_not_asked_for_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scorer = WordScorer(fails=True)
    with caplog.at_level(logging.ERROR):
        found = score_each(scorer, [StoryText(f"story {n}", "") for n in range(1_000)])
    assert found == [None] * 1_000
    assert len(scorer.scored) < 30
    assert "story 0" in caplog.text
    assert "997 stories are left without a score" in caplog.text
