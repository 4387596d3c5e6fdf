"""The routes under ``/v1/support``. Each says who may call it and calls one method."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Query, UploadFile

from apps.support.learning.teaching import TeachingService
from apps.support.service import SupportService
from shared.api.support import (
    AddIntentReport,
    AddIntentRequest,
    ChatReply,
    ChatRequest,
    CheckReport,
    ClassifyRequest,
    ClassifyResponse,
    Conversation,
    Conversations,
    ExplainRequest,
    Explanation,
    FeedbackReceipt,
    FeedbackRequest,
    IntentProposals,
    Intents,
    Owner,
    PersonMessageRequest,
    ReleaseRequest,
    ReviewQueue,
    ReviewRequest,
    TakeOverRequest,
)
from shared.serving.guards.auth import require
from shared.serving.hot_path import HotRoute
from shared.serving.problems import documented

PREFIX = "/v1/support"
LARGEST_ID = 2**31 - 1

ConversationId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
MessageId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Limit = Annotated[int, Query(ge=1, le=500)]
Column = Annotated[str | None, Form(max_length=200)]

USE = [Depends(require("use"))]
REVIEW = [Depends(require("review"))]
ADMIN = [Depends(require("admin"))]


def support_router(service: SupportService, teaching: TeachingService) -> APIRouter:
    """All routes of the support desk.

    What a customer's front end needs asks for the scope ``use``, what the desk's people do for
    ``review``, what changes the model in use for ``admin``.
    """
    router = APIRouter(prefix=PREFIX, tags=["support"])
    _add_messages(router, service)
    _add_conversations(router, service)
    _add_teaching(router, teaching)
    return router


def hot_routes(service: SupportService) -> list[HotRoute]:
    """Short ways to what is asked most: each stands before the route of its path."""

    async def classify(request: ClassifyRequest) -> ClassifyResponse:
        return await service.classify(request.texts)

    return [HotRoute(f"{PREFIX}/classify", ClassifyRequest, classify, scope="use")]


def _add_messages(router: APIRouter, service: SupportService) -> None:
    @router.post("/classify", dependencies=USE)
    async def classify(request: ClassifyRequest) -> ClassifyResponse:
        """What the model says of each message, and what the desk would do with it."""
        return await service.classify(request.texts)

    @router.post("/chat", dependencies=USE, responses=documented(404, 409))
    async def chat(request: ChatRequest) -> ChatReply:
        """Say something as the customer. Without an id a conversation begins."""
        return await service.chat(request)

    @router.post("/explain", dependencies=USE, responses=documented(404))
    def explain(request: ExplainRequest) -> Explanation:
        """The nearest training examples, and the words that spoke for the intent."""
        return service.explain(request)


def _add_conversations(router: APIRouter, service: SupportService) -> None:
    @router.get("/conversations", dependencies=REVIEW)
    def conversations(owner: Owner | None = None, limit: Limit = 50) -> Conversations:
        """Conversations, the most recently changed first; ``owner=waiting`` is the queue."""
        return Conversations(conversations=service.list_conversations(owner, limit))

    @router.get("/conversations/{conversation_id}", dependencies=USE, responses=documented(404))
    def conversation(conversation_id: ConversationId) -> Conversation:
        """A conversation with its transcript, for whoever knows its id."""
        return service.show(conversation_id)

    @router.post(
        "/conversations/{conversation_id}/takeover",
        dependencies=REVIEW,
        responses=documented(404, 409),
    )
    def take_over(conversation_id: ConversationId, request: TakeOverRequest) -> Conversation:
        """A person takes the chat; the bot is silent from here on."""
        return service.take_over(conversation_id, request)

    @router.post(
        "/conversations/{conversation_id}/messages",
        dependencies=REVIEW,
        responses=documented(404, 409),
    )
    def write(conversation_id: ConversationId, request: PersonMessageRequest) -> Conversation:
        """The person who has the chat says something."""
        return service.write(conversation_id, request)

    @router.post(
        "/conversations/{conversation_id}/release",
        dependencies=REVIEW,
        responses=documented(404, 409),
    )
    def release(conversation_id: ConversationId, request: ReleaseRequest) -> Conversation:
        """The person gives the chat back to the bot, or closes it."""
        return service.release(conversation_id, request)


def _add_teaching(router: APIRouter, teaching: TeachingService) -> None:
    @router.post("/feedback", dependencies=REVIEW, responses=documented(404))
    def feedback(request: FeedbackRequest) -> FeedbackReceipt:
        """What a customer's message, or a free text, should have been."""
        return teaching.correct(request)

    @router.get("/review", dependencies=REVIEW)
    def review_queue(limit: Limit = 20) -> ReviewQueue:
        """Messages worth a person's look, the most telling first."""
        return teaching.review_queue(limit)

    @router.get("/review/proposals", dependencies=REVIEW)
    def proposals() -> IntentProposals:
        """Groups of handed-over messages that look like intents of their own."""
        return teaching.proposals()

    @router.post(
        "/review/{message_id}", status_code=204, dependencies=REVIEW, responses=documented(404, 409)
    )
    def review(message_id: MessageId, request: ReviewRequest) -> None:
        """A person's word on a queued message; ``intent`` null sets it aside."""
        teaching.review(message_id, request)

    @router.get("/intents", dependencies=USE)
    def intents() -> Intents:
        """All intents that the desk knows, with their answers."""
        return teaching.intents()

    @router.post("/intents", dependencies=ADMIN, responses=documented(404, 409))
    def add_intent(request: AddIntentRequest) -> AddIntentReport:
        """Teach the desk an intent: served when this answers, or refused with the reason."""
        return teaching.add_intent(request)

    @router.post("/check", dependencies=REVIEW)
    def check(
        file: Annotated[UploadFile, File(description="CSV, TSV, JSON lines or Parquet")],
        text_column: Column = None,
        label_column: Column = None,
    ) -> CheckReport:
        """What the data doctor says of a file. Nothing of it is kept."""
        return teaching.check(file.filename or "", file.file.read(), text_column, label_column)
