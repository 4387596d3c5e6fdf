"""Stories, alerts and rules as cards."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from apps.finance.page_parts.alert_cards import alert_html, number_words, rule_words, scope_words
from apps.finance.page_parts.story_cards import LONGEST_TEXT, score_html, sources_html, story_html
from apps.finance.scoring.events import EVENT_TYPES
from shared.api.finance import EVENTS
from tests.fakes.finance_api import MORNING, FakeFinanceApi
from tests.fakes.finance_stories import Told

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def fake() -> FakeFinanceApi:
    return FakeFinanceApi()


def test_a_story_tells_whom_it_is_good_and_bad_for(fake) -> None:
    story = fake.stories()[1]
    html = story_html(story, UTC, MORNING)
    assert "90 % positive" in html
    assert "83 % negative" in html
    assert 'title="Orsa Airlines: 83 % negative"' in html
    assert ">Guidance</span>" in html
    assert "86 % new" in html
    assert "https://ledgerdaily.test/1" in html


def test_a_rule_that_decided_is_named_with_what_it_found(fake) -> None:
    (story,) = [one for one in fake.stories() if "files for insolvency" in one.title]
    html = story_html(story, UTC, MORNING)
    assert "decided by the rule “Insolvency filing”, which found “files for insolvency”" in html


def test_a_story_without_a_score_says_so(fake) -> None:
    bare = fake.stories()[0].model_copy(update={"score": None})
    html = story_html(bare, UTC, MORNING)
    assert "not scored yet" in html
    assert "Overall" not in html


def test_marks_in_the_text_count_from_the_title(fake) -> None:
    html = story_html(fake.stories()[0], UTC, MORNING)
    assert ">Norvik Energy</span> halts" in html
    assert ">Norvik</span> shares lost" in html


def test_long_texts_are_cut(fake) -> None:
    told = Told(1, "Norvik rests", "neutral", 0.9, text="word " * 200)
    story = fake.story(1, told)
    assert len(story.text) > LONGEST_TEXT
    assert "word…" in story_html(story, UTC, MORNING).replace(" …", "…")


def test_nothing_of_a_story_becomes_markup(fake) -> None:
    hostile = "<script>alert(1)</script>"
    story = fake.story(1, Told(1, hostile, "neutral", 0.9, text=hostile, publishers=(hostile,)))
    assert "<script" not in story_html(story, UTC, MORNING)
    assert "<script" not in score_html(hostile, hostile, story.score)


def test_a_publisher_that_has_a_story_twice_is_named_once(fake) -> None:
    story = fake.stories()[0]
    html = sources_html([*story.sources, *story.sources])
    assert html.count(">Harbour Wire</a>") == 1
    assert "2 revisions" in html


def test_an_alert_tells_its_numbers_stories_and_way(fake) -> None:
    html = alert_html(fake.alerts[0], UTC, MORNING)
    assert "Norvik Energy: Mood of a watched company turns bad" in html
    assert "index -0.71" in html
    assert "below the level" in html
    assert "stories: 9" in html
    assert "sent to webhook https://desk.test/hook" in html
    assert "https://harbourwire.test/0" in html
    assert "acknowledged by Ada" in alert_html(fake.alerts[2], UTC, MORNING)


def test_an_alert_that_could_not_be_sent_says_why(fake) -> None:
    (delivery,) = fake.alerts[0].deliveries
    waits = delivery.model_copy(
        update={
            "delivered_at": None,
            "next_attempt_at": MORNING + timedelta(minutes=5),
            "last_error": "the server answered 500 <b>",
        }
    )
    html = alert_html(fake.alerts[0].model_copy(update={"deliveries": [waits]}), UTC, MORNING)
    assert "not sent to webhook https://desk.test/hook yet, tried again" in html
    assert "the server answered 500 &lt;b&gt;" in html
    ended = waits.model_copy(update={"next_attempt_at": None})
    html = alert_html(fake.alerts[0].model_copy(update={"deliveries": [ended]}), UTC, MORNING)
    assert "could not be sent" in html


def test_rules_read_as_words(fake) -> None:
    assert rule_words(fake.rules[1]) == (
        "The index falls fast · all stories · by at least 0.4; within 24 h"
    )
    assert scope_words("company:*") == "each watched company"
    assert scope_words("sector:Banks") == "sector Banks"
    told = number_words({"a": None, "quiet_hours": {"start": "22:00"}, "only_negative": True})
    assert told == ["quiet hours start 22:00", "only negative: yes"]


def test_the_pages_know_the_events_of_the_shipped_classifier() -> None:
    assert set(EVENTS) == set(EVENT_TYPES)
