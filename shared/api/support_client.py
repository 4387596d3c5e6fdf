"""What the client asks of the support desk."""

from __future__ import annotations

from collections.abc import Sequence

from shared.api import support
from shared.api.calls import Calls, made, path_of


class SupportCalls:
    """The calls of ``/v1/support``; a part of ``shared.client.TriptychClient``."""

    _calls: Calls

    # What a message means

    def classify(self, texts: Sequence[str]) -> support.ClassifyResponse:
        """What the model says of each of 1 to 256 messages, in their order."""
        body = made(support.ClassifyRequest, texts=list(texts))
        return self._calls.post("/v1/support/classify", body, support.ClassifyResponse, repeat=True)

    def explain(self, text: str, intent: str | None = None) -> support.Explanation:
        """The nearest training examples and the words that spoke for an intent."""
        body = made(support.ExplainRequest, text=text, intent=intent)
        return self._calls.post("/v1/support/explain", body, support.Explanation, repeat=True)

    def check(
        self,
        name: str,
        content: bytes,
        *,
        text_column: str | None = None,
        label_column: str | None = None,
    ) -> support.CheckReport:
        """What the data doctor says of a file (CSV, TSV, JSON lines or Parquet, to 8 MiB)."""
        columns = {"text_column": text_column, "label_column": label_column}
        answer = self._calls.send(
            "POST",
            "/v1/support/check",
            repeat=True,
            slow=True,
            files={"file": (name, content)},
            data={column: value for column, value in columns.items() if value},
        )
        return self._calls.read(answer, support.CheckReport)

    # Conversations

    def chat(self, text: str, conversation_id: str | None = None) -> support.ChatReply:
        """Say something as the customer; without an id a conversation begins."""
        body = made(support.ChatRequest, text=text, conversation_id=conversation_id)
        return self._calls.post("/v1/support/chat", body, support.ChatReply)

    def conversations(
        self, owner: support.Owner | None = None, limit: int = 50
    ) -> list[support.ConversationSummary]:
        """Conversations, the most recently changed first."""
        found = self._calls.get(
            "/v1/support/conversations", support.Conversations, owner=owner, limit=limit
        )
        return found.conversations

    def conversation(self, conversation_id: str) -> support.Conversation:
        """One conversation with its transcript."""
        return self._calls.get(_conversation(conversation_id), support.Conversation)

    def take_over(self, conversation_id: str, person: str) -> support.Conversation:
        """A person takes the chat; the bot falls silent."""
        body = made(support.TakeOverRequest, person=person)
        path = _conversation(conversation_id, "takeover")
        return self._calls.post(path, body, support.Conversation)

    def write(self, conversation_id: str, person: str, text: str) -> support.Conversation:
        """A person writes in a chat that they own."""
        body = made(support.PersonMessageRequest, person=person, text=text)
        path = _conversation(conversation_id, "messages")
        return self._calls.post(path, body, support.Conversation)

    def release(
        self, conversation_id: str, person: str, *, close: bool = False
    ) -> support.Conversation:
        """The person gives the chat back to the bot, or closes it."""
        body = made(support.ReleaseRequest, person=person, close=close)
        path = _conversation(conversation_id, "release")
        return self._calls.post(path, body, support.Conversation)

    # Learning

    def send_feedback(
        self,
        intent: str,
        *,
        author: str,
        text: str | None = None,
        message_id: int | None = None,
        note: str = "",
    ) -> support.FeedbackReceipt:
        """What a message, or a free text, should have been."""
        body = made(
            support.FeedbackRequest,
            author=author,
            intent=intent,
            text=text,
            message_id=message_id,
            note=note,
        )
        return self._calls.post("/v1/support/feedback", body, support.FeedbackReceipt)

    def review_queue(self, limit: int = 20) -> support.ReviewQueue:
        """Messages worth a person's look, the most telling first."""
        return self._calls.get("/v1/support/review", support.ReviewQueue, limit=limit)

    def review(self, message_id: int, intent: str | None, *, author: str) -> None:
        """A person's word on a queued message; ``intent`` None sets it aside."""
        body = made(support.ReviewRequest, author=author, intent=intent)
        path = path_of("v1", "support", "review", str(message_id))
        self._calls.send("POST", path, repeat=False, json=body.model_dump(mode="json"))

    def proposals(self) -> list[support.IntentProposal]:
        """Groups of out-of-scope messages that look like intents, the largest first."""
        return self._calls.get("/v1/support/review/proposals", support.IntentProposals).proposals

    def intents(self) -> support.Intents:
        """All intents that the desk knows."""
        return self._calls.get("/v1/support/intents", support.Intents)

    def add_intent(
        self, name: str, *, answer: str, examples: Sequence[str], author: str
    ) -> support.AddIntentReport:
        """Teach the desk an intent by 3 to 500 examples: live in seconds."""
        body = made(
            support.AddIntentRequest,
            name=name,
            answer=answer,
            examples=list(examples),
            author=author,
        )
        return self._calls.post("/v1/support/intents", body, support.AddIntentReport, slow=True)


def _conversation(conversation_id: str, *more: str) -> str:
    return path_of("v1", "support", "conversations", conversation_id, *more)
