"""One turn of the bot, from every place that a chat can stand in."""

from __future__ import annotations

import pytest

from apps.support.conversation.clarification import PendingQuestion
from apps.support.conversation.dialogue import BotReply, ChatState, reply_to
from apps.support.conversation.knowledge import AnswerBook, Faq, FaqEntry
from apps.support.inference import Desk
from shared.api.support import Handover
from shared.records import LabelScore
from tests.fakes.predictor import SHOP_WORDS, KeywordPredictor
from tests.fakes.support_desk import SHOP, shop_desk

pytestmark = pytest.mark.unit

BOT = ChatState("bot")
ASKED = ChatState(
    "bot",
    PendingQuestion(
        (LabelScore("change_address", 0.4), LabelScore("track_order", 0.4)), "my parcel"
    ),
)


def say(text: str, state: ChatState = BOT, desk: Desk | None = None) -> BotReply:
    desk = desk or shop_desk()
    (reading,) = desk.read([text])
    return reply_to(state, text, reading, desk.book.answers.get)


def test_a_sure_message_gets_the_answer_of_its_intent_with_its_source() -> None:
    reply = say("refund please")
    assert reply.text == "Refunds take five days."
    assert (reply.action, reply.owner, reply.intent) == ("answer", "bot", "refund")
    assert reply.source is not None
    assert (reply.source.kind, reply.source.title) == ("intent", "refund")
    assert reply.judged


def test_two_close_intents_are_asked_about_by_their_titles() -> None:
    reply = say("my parcel")
    assert reply.action == "clarify"
    assert reply.text is not None
    assert "Do you want to (1) change the address or (2) track an order?" in reply.text
    assert reply.pending is not None
    assert reply.pending.text == "my parcel"
    assert [one.label for one in reply.options] == ["change_address", "track_order"]


def test_intents_without_titles_are_asked_about_by_their_names() -> None:
    asked = say("my parcel", desk=shop_desk(book=AnswerBook())).text
    assert asked is not None
    assert asked.startswith("Is this about (1) change address or (2) track order?")


def test_a_message_that_is_not_understood_goes_to_a_person_with_reason_and_intents() -> None:
    reply = say("quantum entanglement")
    assert (reply.action, reply.owner) == ("handoff", "waiting")
    assert reply.handover is not None
    assert len(reply.handover.ranked) == 5
    assert "below" in reply.handover.reason
    assert reply.text


def test_a_person_is_called_at_once_for_who_asks() -> None:
    for state in (BOT, ASKED):
        reply = say("a human", state)
        assert (reply.action, reply.owner, reply.asked_for_person) == ("handoff", "waiting", True)


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        ("the first one", "change_address"),
        ("2", "track_order"),
        ("tracking", "track_order"),
        ("track", "track_order"),
    ],
)
def test_a_question_is_settled_by_a_word(said: str, intent: str) -> None:
    reply = say(said, ASKED)
    assert (reply.action, reply.intent) == ("answer", intent)
    assert reply.text == SHOP.answers[intent]
    assert reply.pending is None


def test_a_new_message_after_a_question_is_answered_for_itself() -> None:
    reply = say("cancel everything I ordered from you today please", ASKED)
    assert (reply.action, reply.intent) == ("answer", "cancel_order")


def test_the_model_may_settle_the_question_where_words_do_not() -> None:
    words = {**SHOP_WORDS, "track_order": {**SHOP_WORDS["track_order"], "still": 2.0}}
    desk = shop_desk(KeywordPredictor(words))
    text = "it is still not with me after so many weeks"
    assert say(text, desk=desk).action == "handoff", "unsure on its own"
    reply = say(text, ASKED, desk)
    assert (reply.action, reply.intent, reply.confidence) == ("answer", "track_order", None)


@pytest.mark.parametrize("said", ["neither", "my parcel", "hm", "quantum entanglement"])
def test_a_second_failure_goes_to_a_person_and_not_round_again(said: str) -> None:
    reply = say(said, ASKED)
    assert (reply.action, reply.owner) == ("handoff", "waiting")
    assert reply.pending is None
    assert reply.handover is not None
    assert reply.handover.ranked


def test_who_chooses_the_person_among_the_options_gets_one() -> None:
    options = (LabelScore("refund", 0.4), LabelScore("talk_to_person", 0.4))
    reply = say("2", ChatState("bot", PendingQuestion(options, "x")))
    assert (reply.action, reply.asked_for_person) == ("handoff", True)


def test_an_intent_without_an_answer_goes_to_a_person_who_is_told_so() -> None:
    desk = shop_desk(book=AnswerBook())
    for reply in (say("refund", desk=desk), say("1", ASKED, desk)):
        assert reply.action == "handoff"
        assert "no answer is written" in reply.reason


def test_the_faq_answers_what_no_intent_does_and_shows_its_question() -> None:
    words = {**SHOP_WORDS, "a": {"gift": 1.0}, "b": {"gift": 1.0}}
    predictor = KeywordPredictor(words)
    faq = Faq((FaqEntry("a gift?", "Yes, wrapped."),), predictor.embed)
    plain = shop_desk(predictor)
    desk = Desk(predictor, plain.policy, plain.book, faq)
    reply = say("gift", desk=desk)
    assert (reply.action, reply.text) == ("answer", "Yes, wrapped.")
    assert reply.source is not None
    assert (reply.source.kind, reply.source.title) == ("faq", "a gift?")
    assert reply.source.similarity == pytest.approx(1.0)
    assert say("gift", desk=plain).action == "handoff"


def test_the_bot_is_silent_while_a_person_owns_the_chat() -> None:
    reply = say("refund please", ChatState("person"))
    assert (reply.text, reply.action, reply.owner, reply.judged) == (None, None, "person", False)


def test_the_bot_decides_nothing_while_a_person_is_awaited() -> None:
    called = Handover(reason="unsure", ranked=[])
    reply = say("refund please", ChatState("waiting", handover=called))
    assert (reply.action, reply.owner, reply.judged) == ("handoff", "waiting", False)
    assert reply.handover == called
    assert reply.text
    assert "Refunds" not in reply.text
