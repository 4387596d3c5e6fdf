"""Records refuse what contradicts itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from apps.finance.records import Mention, ScoredMention, StoryScore, StorySource, StoryText

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SURE = {"negative": 0.1, "neutral": 0.1, "positive": 0.8}
MENTION = Mention("acme", "Acme", None, 0.5, True, ((0, 4),), "positive", SURE)
SCORE = StoryScore("positive", SURE, None, "earnings", 0.7, (MENTION,), "v1")


def test_the_whole_of_a_story_is_what_spans_count_in() -> None:
    assert StoryText("Acme", "rises").whole == "Acme\nrises"
    assert StoryText("Acme").whole == "Acme"


@pytest.mark.parametrize(
    "change",
    [
        {"relevance": 1.2},
        {"spans": ((4, 4),)},
        {"label": "good"},
        {"probabilities": {"negative": 1.0}},
        {"probabilities": {"negative": 0.5, "neutral": 0.5, "positive": 0.5}},
        {"probabilities": {"negative": -0.1, "neutral": 0.1, "positive": 1.0}},
        {"company_id": ""},
    ],
)
def test_a_mention_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(MENTION, **change)


@pytest.mark.parametrize(
    "change", [{"version": ""}, {"event": None}, {"mentions": (MENTION, MENTION)}]
)
def test_a_score_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(SCORE, **change)


@pytest.mark.parametrize("zone", [None, timezone(timedelta(hours=1))])
def test_times_are_in_utc(zone: timezone | None) -> None:
    with pytest.raises(ValueError, match="not in UTC"):
        StorySource("o", None, "P", None, None, "T", None, NOW.replace(tzinfo=zone))
    with pytest.raises(ValueError, match="published_at"):
        ScoredMention(
            "s", None, None, NOW.replace(tzinfo=zone), 1, 1, "neutral", 0, 1, 0, None, None
        )
