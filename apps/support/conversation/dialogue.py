"""One turn of the bot: from where a chat stands and what the model reads, to what the bot does.

Pure: nothing is stored or looked up here but through ``answer_for``.

    bot      answers, asks between two intents, or calls a person
    waiting  a person was called: the bot says so and decides nothing
    person   silent
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apps.support.conversation.clarification import PendingQuestion, ask_between, lean, read_reply
from apps.support.conversation.decision import Decision
from apps.support.inference import Reading
from shared.api.support import Action, Handover, IntentScore, Owner, Source
from shared.records import LabelScore

AnswerFor = Callable[[str], str | None]

HANDOVER_RANKED = 5
"""How many intents a hand-over names."""
LEAN_SHARE = 0.8
"""Share of the options' probability that the model must give one of them to settle a question."""

PASSING_ON = "A person will take over here and can read what you wrote, so you need not repeat it."
ASKED_TEXT = f"Of course. {PASSING_ON}"
UNSURE_TEXT = f"I am not sure enough to answer this myself. {PASSING_ON}"
WAITING_TEXT = "A person has been called and will read this message too."


@dataclass(frozen=True, slots=True)
class ChatState:
    """Where a chat stands before the customer's message."""

    owner: Owner
    pending: PendingQuestion | None = None
    handover: Handover | None = None


@dataclass(frozen=True, slots=True)
class BotReply:
    """What the bot says and does, and where the chat stands afterwards.

    ``judged`` says that the decision rests on the model's reading of this message: only then may
    the message join the review queue.
    """

    text: str | None
    action: Action | None
    owner: Owner
    reason: str
    intent: str | None = None
    confidence: float | None = None
    options: tuple[LabelScore, ...] = ()
    source: Source | None = None
    handover: Handover | None = None
    pending: PendingQuestion | None = None
    judged: bool = False
    asked_for_person: bool = False


def reply_to(state: ChatState, text: str, reading: Reading, answer_for: AnswerFor) -> BotReply:
    """The bot's turn after ``text``, whose reading is ``reading``.

    ``answer_for`` gives the answer written for an intent, or None.
    """
    if state.owner == "person":
        return BotReply(None, None, "person", "a person owns this chat", handover=state.handover)
    if state.owner == "waiting":
        return BotReply(
            WAITING_TEXT, "handoff", "waiting", "a person was called", handover=state.handover
        )
    if state.pending is not None:
        return _settle(state.pending, text, reading, answer_for)
    return _act(reading.decision, text, reading, answer_for)


def _act(decision: Decision, text: str, reading: Reading, answer_for: AnswerFor) -> BotReply:
    """Do what was decided on a message that stands for itself."""
    if decision.action == "answer":
        return _answer(decision, reading, answer_for)
    if decision.action == "clarify":
        labels = [option.label for option in decision.options]
        as_wishes = all(label in reading.book.titles for label in labels)
        return BotReply(
            ask_between([reading.title(label) for label in labels], as_wishes=as_wishes),
            "clarify",
            "bot",
            decision.reason,
            intent=decision.intent,
            confidence=decision.confidence,
            options=decision.options,
            pending=PendingQuestion(decision.options, text),
            judged=True,
        )
    return _hand_over(
        decision.reason,
        reading.prediction.ranked,
        intent=decision.intent,
        confidence=decision.confidence,
        judged=True,
        asked_for_person=decision.asked_for_person,
    )


def _answer(decision: Decision, reading: Reading, answer_for: AnswerFor) -> BotReply:
    """The FAQ's answer, or the intent's; a person where nobody wrote one."""
    if decision.faq is not None:
        faq = decision.faq
        similarity = max(-1.0, min(1.0, faq.similarity))
        spoken: str | None = faq.answer
        source = Source(kind="faq", title=faq.question, similarity=similarity)
    else:
        spoken = answer_for(decision.intent)
        source = Source(kind="intent", title=reading.title(decision.intent))
    if spoken is None:
        return _hand_over(
            f"the message is about {decision.intent}, for which no answer is written",
            reading.prediction.ranked,
            intent=decision.intent,
            confidence=decision.confidence,
            judged=True,
        )
    return BotReply(
        spoken,
        "answer",
        "bot",
        decision.reason,
        intent=decision.intent,
        confidence=decision.confidence,
        source=source,
        judged=True,
    )


def _settle(
    pending: PendingQuestion, text: str, reading: Reading, answer_for: AnswerFor
) -> BotReply:
    """What the reply to a question makes of it: an answer now, or a person. Never a second
    question."""
    titles = [reading.title(option.label) for option in pending.options]
    said = read_reply(text, titles)
    if said == "refused":
        return _hand_over("the customer means neither of the two intents", pending.options)
    if isinstance(said, int):
        return _chosen(pending.options[said].label, pending, reading, answer_for)
    decision = reading.decision
    if decision.asked_for_person or decision.action == "answer":
        return _act(decision, text, reading, answer_for)
    leaning = lean(reading.prediction, pending.options, LEAN_SHARE)
    if leaning is not None:
        return _chosen(pending.options[leaning].label, pending, reading, answer_for)
    return _hand_over(
        "still unclear after one question between "
        + " and ".join(option.label for option in pending.options),
        reading.prediction.ranked,
        intent=decision.intent,
        confidence=decision.confidence,
        judged=True,
    )


def _chosen(
    intent: str, pending: PendingQuestion, reading: Reading, answer_for: AnswerFor
) -> BotReply:
    """The customer settled the question."""
    if intent == reading.policy.person_intent:
        return _hand_over(
            "the customer asks for a person", pending.options, intent=intent, asked_for_person=True
        )
    spoken = answer_for(intent)
    if spoken is None:
        return _hand_over(
            f"the customer means {intent}, for which no answer is written",
            pending.options,
            intent=intent,
        )
    return BotReply(
        spoken,
        "answer",
        "bot",
        f"the customer chose {intent}",
        intent=intent,
        source=Source(kind="intent", title=reading.title(intent)),
    )


def _hand_over(
    reason: str,
    ranked: tuple[LabelScore, ...],
    *,
    intent: str | None = None,
    confidence: float | None = None,
    judged: bool = False,
    asked_for_person: bool = False,
) -> BotReply:
    """Call a person, with the reason and the top intents."""
    scores = [
        IntentScore(intent=score.label, probability=score.probability)
        for score in ranked[:HANDOVER_RANKED]
    ]
    return BotReply(
        ASKED_TEXT if asked_for_person else UNSURE_TEXT,
        "handoff",
        "waiting",
        reason,
        intent=intent,
        confidence=confidence,
        handover=Handover(reason=reason, ranked=scores),
        judged=judged,
        asked_for_person=asked_for_person,
    )
