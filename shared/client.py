"""The typed HTTP client of the Triptych API: what the pages and users' programs call.

    with TriptychClient("http://127.0.0.1:8000", key="tk_...") as client:
        reply = client.chat("where is my parcel?")
        print(reply.action, reply.text)

Calls that change nothing are repeated when the server is busy or the connection breaks; see
``shared.api.calls`` for when and how often.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import httpx2

from shared.api import shapes, support
from shared.api.calls import ApiError, Calls, Retries, made, path_of

__all__ = ["ApiError", "Retries", "TriptychClient"]


class TriptychClient:
    """One connection pool to one API; safe to share between threads.

    ``timeout`` is in seconds and holds for calls that answer at once; those that train, score or
    read a whole file have ``slow_timeout``. Every method raises ``ApiError`` and nothing else.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        slow_timeout: float = 600.0,
        retries: Retries | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.url = url.rstrip("/")
        self._calls = Calls(
            self.url,
            key,
            timeout=timeout,
            slow_timeout=slow_timeout,
            retries=retries or Retries(),
            transport=transport,
            sleep=sleep,
            jitter=jitter,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()

    # The server itself

    def ready(self) -> shapes.Health:
        """Status ``ready`` once every app is warmed up, else what it waits for.

        Asks once and never waits.
        """
        try:
            answer = self._calls.send("GET", "/readyz", repeat=False, attempts=1)
        except ApiError as error:
            if error.status != 503:
                raise
            return shapes.Health(status=error.message)
        return self._calls.read(answer, shapes.Health)

    # Model versions

    def models(self, app: str) -> list[shapes.ModelVersionSummary]:
        """The versions of an app, newest first."""
        return self._calls.get("/v1/models", shapes.ModelVersions, app=app).versions

    def model(self, app: str, version: str) -> shapes.ModelCardShape:
        """A version's card."""
        return self._calls.get(path_of("v1", "models", app, version), shapes.ModelCardShape)

    def model_report(self, app: str, version: str) -> str:
        """A version's report: one HTML page that needs nothing else."""
        path = path_of("v1", "models", app, version, "report.html")
        return self._calls.send("GET", path, repeat=True).text

    def promote(
        self, app: str, version: str, *, author: str, force: bool = False
    ) -> shapes.PromotionShape:
        """Put a version in use; refused (409) when the gate finds it worse, unless forced."""
        body = made(shapes.PromoteRequest, author=author, force=force)
        path = path_of("v1", "models", app, version, "promote")
        return self._calls.post(path, body, shapes.PromotionShape, slow=True)

    def rollback(self, app: str, *, author: str) -> shapes.PromotionShape:
        """Put the version before the present one back in use."""
        body = made(shapes.RollbackRequest, author=author)
        return self._calls.post(
            path_of("v1", "models", app, "rollback"), body, shapes.PromotionShape
        )

    # The support desk: what a message means

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

    # The support desk: conversations

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

    # The support desk: learning

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
