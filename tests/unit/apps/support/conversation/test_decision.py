"""When the desk answers, asks back, or hands over."""

from __future__ import annotations

import pytest

from apps.support.conversation.decision import DecisionPolicy, FaqMatch
from shared.records import LabelScore, Prediction

pytestmark = pytest.mark.unit

POLICY = DecisionPolicy(answer_threshold=0.9)


def prediction(
    *scores: tuple[str, float], confidence: float | None = None, in_scope: float = 1.0
) -> Prediction:
    ranked = tuple(LabelScore(label, probability) for label, probability in scores)
    sure = ranked[0].probability if confidence is None else confidence
    return Prediction(ranked, in_scope, sure, "v1")


def faq(similarity: float) -> FaqMatch:
    return FaqMatch("Do you ship abroad?", "Yes.", similarity)


@pytest.mark.parametrize(
    ("confidence", "action"), [(0.95, "answer"), (0.9, "answer"), (0.8999, "handoff")]
)
def test_the_threshold_itself_is_enough_to_answer(confidence: float, action: str) -> None:
    decision = POLICY.decide(prediction(("refund", 0.99), ("other", 0.01), confidence=confidence))
    assert decision.action == action
    assert decision.intent == "refund"
    assert decision.confidence == confidence


def test_two_close_intents_are_asked_between() -> None:
    decision = POLICY.decide(prediction(("track", 0.5), ("address", 0.4), ("x", 0.1)))
    assert decision.action == "clarify"
    assert [option.label for option in decision.options] == ["track", "address"]
    assert "track 50%" in decision.reason


@pytest.mark.parametrize(
    "scores",
    [
        [("track", 0.3), ("address", 0.29), ("x", 0.28)],  # too little together
        [("track", 0.8), ("address", 0.1), ("x", 0.1)],  # not close
        [("track", 0.8)],  # nothing to ask between
    ],
)
def test_without_two_close_intents_a_person_is_called(scores: list[tuple[str, float]]) -> None:
    decision = POLICY.decide(prediction(*scores))
    assert decision.action == "handoff"
    assert decision.options == ()


def test_a_message_out_of_scope_is_not_asked_back() -> None:
    close = prediction(("track", 0.5), ("address", 0.45), in_scope=-1.0)
    policy = DecisionPolicy(answer_threshold=0.9, in_scope_floor=0.0)
    assert POLICY.decide(close).action == "clarify"
    assert policy.decide(close).action == "handoff"
    assert "out of scope" in policy.decide(close).reason


def test_who_asks_for_a_person_gets_one_however_sure_the_model_is() -> None:
    for confidence in (0.99, 0.4):
        decision = POLICY.decide(prediction(("talk_to_person", confidence)), faq(0.99))
        assert (decision.action, decision.asked_for_person) == ("handoff", True)
    renamed = DecisionPolicy(answer_threshold=0.9, person_intent="agent")
    assert renamed.decide(prediction(("talk_to_person", 0.99))).action == "answer"
    assert renamed.decide(prediction(("agent", 0.99))).asked_for_person


def test_a_stray_message_nearest_to_that_intent_is_not_taken_for_such_a_wish() -> None:
    policy = DecisionPolicy(answer_threshold=0.9, in_scope_floor=0.0)
    decision = policy.decide(prediction(("talk_to_person", 0.6), in_scope=-1.0))
    assert (decision.action, decision.asked_for_person) == ("handoff", False)


def test_a_version_whose_errors_nobody_can_promise_answers_nothing_and_says_so() -> None:
    decision = DecisionPolicy(answer_threshold=float("inf")).decide(prediction(("refund", 1.0)))
    assert decision.action == "handoff"
    assert "no threshold" in decision.reason


def test_the_faq_answers_where_the_intent_does_not() -> None:
    unsure = prediction(("track", 0.5), ("address", 0.45))
    policy = DecisionPolicy(answer_threshold=0.9, faq_similarity=0.8)
    near = policy.decide(unsure, faq(0.8))
    assert (near.action, near.faq) == ("answer", faq(0.8))
    assert policy.decide(unsure, faq(0.79)).action == "clarify"
    sure = POLICY.decide(prediction(("track", 0.95)), faq(0.99))
    assert (sure.action, sure.faq) == ("answer", None)
