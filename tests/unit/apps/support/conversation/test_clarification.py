"""The question between two intents, and the many ways to answer it."""

from __future__ import annotations

import json

import pytest

from apps.support.conversation.clarification import PendingQuestion, ask_between, lean, read_reply
from shared.records import LabelScore, Prediction

pytestmark = pytest.mark.unit

TITLES = ("track an order", "change the delivery address")


def test_the_question_numbers_its_options() -> None:
    asked = ask_between(TITLES, as_wishes=True)
    assert asked.startswith("Do you want to (1) track an order or (2) change the delivery address?")
    named = ask_between(("card arrival", "card linking"), as_wishes=False)
    assert named.startswith("Is this about (1) card arrival or (2) card linking?")


@pytest.mark.parametrize(
    "reply",
    ["1", "(1)", "1.", "First", "the first one", "option 1 please", "no. 1", "one", "number one",
     "track", "Tracking, please", "I'd like to track it", "the order", "the former"],
)  # fmt: skip
def test_replies_that_name_the_first(reply: str) -> None:
    assert read_reply(reply, TITLES) == 0


@pytest.mark.parametrize(
    "reply",
    ["2", "2)", "second", "2nd!", "the second one", "no, the second", "two", "the last one",
     "ADDRESS", "my address", "change delivery address", "the addresses", "number 2, thanks"],
)  # fmt: skip
def test_replies_that_name_the_second(reply: str) -> None:
    assert read_reply(reply, TITLES) == 1


@pytest.mark.parametrize("reply", ["neither", "none of these", "no", "Nope, neither of them"])
def test_replies_that_refuse_both(reply: str) -> None:
    assert read_reply(reply, TITLES) == "refused"


@pytest.mark.parametrize(
    "reply",
    ["", "🙂", "yes", "3", "1 or 2", "both 1 and 2", "track and address", "hm what",
     "I have 2 parcels and want my money", "no idea what you are talking about",
     "the first time I ordered something here my address was wrong"],
)  # fmt: skip
def test_replies_that_words_alone_do_not_settle(reply: str) -> None:
    assert read_reply(reply, TITLES) == "unknown"


def test_words_that_both_options_share_settle_nothing() -> None:
    assert read_reply("card", ("card arrival", "card linking")) == "unknown"
    assert read_reply("the arrival", ("card arrival", "card linking")) == 0


def test_the_model_may_lean_to_an_option() -> None:
    options = (LabelScore("a", 0.5), LabelScore("b", 0.4))

    def reading(**scores: float) -> Prediction:
        ranked = sorted(scores.items(), key=lambda pair: -pair[1])
        return Prediction(tuple(LabelScore(*pair) for pair in ranked), 0.0, 0.5, "v")

    assert lean(reading(b=0.6, a=0.1, c=0.3), options, 0.8) == 1
    assert lean(reading(b=0.5, a=0.3), options, 0.8) is None
    assert lean(reading(c=0.6, a=0.4), options, 0.8) is None, "another intent comes first"
    assert lean(reading(a=0.6), options, 0.8) == 0, "an option may fall out of the ranking"


def test_a_pending_question_survives_the_database() -> None:
    pending = PendingQuestion((LabelScore("a", 0.5), LabelScore("b", 0.25)), "my parcel")
    assert PendingQuestion.from_json(json.loads(json.dumps(pending.as_json()))) == pending
