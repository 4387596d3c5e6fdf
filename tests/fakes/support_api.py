"""A support API that keeps all its state in plain sight.

Words decide: "parcel" is order_status, "refund" is refund, both together are a question between
the two, anything else calls a person. No model, no database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.api import shapes, support
from shared.api.drift import AppDrift

MORNING = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
VERSIONS = ("20261123T080000Z-bbbbbbbb", "20261120T080000Z-aaaaaaaa")
ANSWERS = {
    "order_status": "Your parcel is on its way: follow it under My orders.",
    "refund": "Money goes back to you within 5 days, $3 of postage apart.",
}
WORDS = {"parcel": "order_status", "refund": "refund"}
REPORT = "<html><body><h1>Report of {version}</h1><p>learning curves</p></body></html>"


class Refused(Exception):
    """A problem and its status."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.problem = shapes.Problem(error=error, message=message)


def metrics(accuracy: float) -> dict[str, Any]:
    return {
        "accuracy": accuracy,
        "macro_f1": accuracy - 0.01,
        "top3_accuracy": 0.99,
        "expected_calibration_error": 0.012,
        "expected_calibration_error_uncalibrated": 0.05,
        "negative_log_likelihood": 0.21,
        "out_of_scope": {"auroc": 0.98, "auprc": 0.94},
        "coverage_at_target": 0.83,
        "error_at_target": 0.014,
        "intervals": {"accuracy": [accuracy - 0.02, accuracy + 0.02]},
    }


class FakeSupportApi:
    """The state of the fake; ``support_api_routes.routes_of`` puts it on HTTP.

    ``key``       when set, every request but /readyz needs it
    ``ready``     when False, the model is still loading
    ``worse``     versions that the gate refuses
    ``certified`` whether the versions may answer by themselves
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.drift: AppDrift | None = None
        self.key: str | None = None
        self.ready = True
        self.in_use: str | None = VERSIONS[1]
        self.worse: set[str] = set()
        self.certified = True
        self.accuracies = dict(zip(VERSIONS, (0.942, 0.931), strict=True))
        self.promotions: list[tuple[str, str, bool]] = []
        self.conversations: dict[str, support.Conversation] = {}
        self.questions: dict[str, list[support.IntentScore]] = {}
        self.reviewed: list[tuple[int, str | None, str]] = []
        self.queue: list[support.ReviewItem] = []
        self.groups: list[support.IntentProposal] = []
        self.taught: list[support.AddIntentRequest] = []
        self.checked: list[tuple[str, bytes, str | None, str | None]] = []
        self.findings: list[support.CheckFinding] = []
        self.messages = 0

    def only_conversation(self) -> support.Conversation:
        (conversation,) = self.conversations.values()
        return conversation

    def put_in_queue(self, text: str, *guesses: tuple[str, float]) -> None:
        ranked = [support.IntentScore(intent=name, probability=share) for name, share in guesses]
        self.queue.append(
            support.ReviewItem(
                message_id=100 + len(self.queue),
                text=text,
                ranked=ranked,
                confidence=ranked[0].probability,
                action="handoff",
                created_at=MORNING,
            )
        )

    def say(
        self, conversation: support.Conversation, author: str, text: str, **fields: Any
    ) -> support.Message:
        self.messages += 1
        message = support.Message(
            id=self.messages,
            author=author,
            text=text,
            created_at=MORNING + timedelta(seconds=self.messages),
            **fields,
        )
        current = self.conversations.get(conversation.id, conversation)
        self.keep(current, messages=[*current.messages, message])
        return message

    def keep(self, conversation: support.Conversation, **changes: Any) -> support.Conversation:
        current = self.conversations.get(conversation.id, conversation)
        self.conversations[conversation.id] = current.model_copy(update=changes)
        return self.conversations[conversation.id]

    def conversation(self, conversation_id: str) -> support.Conversation:
        if conversation_id not in self.conversations:
            raise Refused(404, "not_found", f"no conversation {conversation_id}")
        return self.conversations[conversation_id]

    def guess(self, text: str) -> tuple[support.Action, list[support.IntentScore]]:
        found = [intent for word, intent in WORDS.items() if word in text.casefold()]
        if len(found) == 1:
            other = next(intent for intent in ANSWERS if intent != found[0])
            return "answer", _scores((found[0], 0.97), (other, 0.03))
        if found:
            return "clarify", _scores((found[0], 0.52), (found[1], 0.46))
        return "handoff", _scores(("order_status", 0.4), ("refund", 0.3))

    def chat(self, asked: support.ChatRequest) -> support.ChatReply:
        if asked.conversation_id is None:
            conversation = support.Conversation(
                id=f"{len(self.conversations) + 1:032x}",
                owner="bot",
                person=None,
                created_at=MORNING,
                updated_at=MORNING,
                handover=None,
                messages=[],
            )
        else:
            conversation = self.conversation(asked.conversation_id)
        asked_before = self.questions.pop(conversation.id, [])
        message = self.say(conversation, "customer", asked.text)
        if conversation.owner != "bot":
            return _silent(conversation, message)
        action, ranked = self.guess(asked.text)
        for option in asked_before:
            if option.intent.replace("_", " ") == asked.text.casefold():
                action, ranked = "answer", _scores((option.intent, 0.99))
        return self._reply(conversation, message, action, ranked)

    def _reply(
        self,
        conversation: support.Conversation,
        message: support.Message,
        action: support.Action,
        ranked: list[support.IntentScore],
    ) -> support.ChatReply:
        best = ranked[0]
        text, reason, source, handover = ANSWERS[best.intent], "sure enough", None, None
        owner: support.Owner = "bot"
        if action == "answer":
            source = support.Source(kind="intent", title=best.intent.replace("_", " "))
        elif action == "clarify":
            text, reason = "Is it about (1) Order status or (2) Refund?", "two intents are close"
            self.questions[conversation.id] = ranked
        else:
            text, reason, owner = "A colleague will take over.", "no intent is likely", "waiting"
            handover = support.Handover(reason=reason, ranked=ranked)
            self.keep(conversation, owner=owner, handover=handover)
        self.say(
            conversation,
            "bot",
            text,
            action=action,
            intent=best.intent,
            confidence=best.probability,
        )
        return support.ChatReply(
            conversation_id=conversation.id,
            owner=owner,
            message_id=message.id,
            text=text,
            action=action,
            intent=best.intent,
            confidence=best.probability,
            reason=reason,
            options=ranked if action == "clarify" else [],
            source=source,
            handover=handover,
        )


def _scores(*pairs: tuple[str, float]) -> list[support.IntentScore]:
    return [support.IntentScore(intent=name, probability=share) for name, share in pairs]


def _silent(conversation: support.Conversation, message: support.Message) -> support.ChatReply:
    return support.ChatReply(
        conversation_id=conversation.id,
        owner=conversation.owner,
        message_id=message.id,
        text=None,
        action=None,
        intent=None,
        confidence=None,
        reason="a person has this chat",
    )
