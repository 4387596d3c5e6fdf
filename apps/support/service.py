"""The support desk at work: classify, explain, chat, and the persons who take chats over.

Calls its parts in order and decides nothing itself. Personal data is masked at the entrance:
nothing behind it, the model included, sees a message as it was typed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from apps.support.conversation.conversations import Conversations, TakenTurn
from apps.support.conversation.dialogue import BotReply, ChatState, reply_to
from apps.support.conversation.knowledge import written_answer
from apps.support.inference import DeskInUse, Predictor, Reading
from shared.api.support import (
    ChatReply,
    ChatRequest,
    Classification,
    ClassifyResponse,
    Conversation,
    ConversationSummary,
    ExplainRequest,
    Explanation,
    IntentScore,
    NeighbourShape,
    Owner,
    PersonMessageRequest,
    ReleaseRequest,
    TakeOverRequest,
    TokenShape,
)
from shared.errors import NotFound
from shared.records import LabelScore, TokenAttribution

Clock = Callable[[], datetime]
Mask = Callable[[str], str]
Attribute = Callable[[Predictor, str, str], list[TokenAttribution]]

NEIGHBOURS = 5
MASKED_AT_ONCE = 500
"""Characters that are masked without a thread: it takes less than handing them to one."""


class Batcher(Protocol):
    """Reads texts off the event loop: ``MicroBatcher`` is one."""

    async def submit(self, texts: Sequence[str]) -> list[Reading]:
        """A reading of each text, in order. Raises Overloaded when too many wait."""
        ...


class SupportService:
    """What the routes of conversations and single messages call.

    ``attribute`` says which words spoke for an intent; ``count`` is told each decided action,
    ``observe`` each reading.
    """

    def __init__(
        self,
        *,
        desk: DeskInUse,
        batcher: Batcher,
        conversations: Conversations,
        mask: Mask,
        attribute: Attribute,
        clock: Clock,
        count: Callable[[str], None] = lambda action: None,
        observe: Callable[[Reading], None] = lambda reading: None,
    ) -> None:
        self._desk = desk
        self._batcher = batcher
        self._conversations = conversations
        self._mask = mask
        self._attribute = attribute
        self._clock = clock
        self._count = count
        self._observe = observe
        self._explaining = threading.Lock()

    async def classify(self, texts: Sequence[str]) -> ClassifyResponse:
        """What the model says of each text, all by one version."""
        masked = await self._masked(texts)
        readings = await self._read(masked)
        for reading in readings:
            self._count(reading.decision.action)
        return ClassifyResponse(
            version=readings[0].prediction.version,
            results=[
                as_classification(text, reading)
                for text, reading in zip(masked, readings, strict=True)
            ],
        )

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Take the customer's message into its conversation, and reply to it."""
        (text,) = await self._masked([request.text])
        (reading,) = await self._read([text])
        turn = await run_in_threadpool(self._take_turn, request.conversation_id, text, reading)
        if turn.reply.action is not None:
            self._count(turn.reply.action)
        return _as_reply(turn)

    def explain(self, request: ExplainRequest) -> Explanation:
        """The nearest training examples and the words that spoke for an intent.

        One at a time: attributions cost many times what a prediction does. Blocking.
        """
        predictor = self._desk.current().predictor
        text = self._mask(request.text)
        with self._explaining:
            intent = request.intent or predictor.predict([text])[0].label
            if intent not in predictor.labels:
                raise NotFound(
                    f"version {predictor.version} knows no intent {intent!r}", intent=intent
                )
            (neighbours,) = predictor.neighbours([text], NEIGHBOURS)
            tokens = self._attribute(predictor, text, intent)
        return Explanation(
            version=predictor.version,
            intent=intent,
            neighbours=[
                NeighbourShape(
                    text=self._mask(one.text), intent=one.label, similarity=one.similarity
                )
                for one in neighbours
            ],
            tokens=[TokenShape(token=one.token, weight=one.weight) for one in tokens],
        )

    def list_conversations(self, owner: Owner | None, limit: int) -> list[ConversationSummary]:
        """The conversations (of one owner), the most recently changed first."""
        return self._conversations.summaries(self._clock(), owner=owner, limit=limit)

    def show(self, conversation_id: str) -> Conversation:
        """A conversation with its transcript."""
        return self._conversations.show(conversation_id, self._clock())

    def take_over(self, conversation_id: str, request: TakeOverRequest) -> Conversation:
        """A person takes the chat; the bot is silent from here on."""
        return self._conversations.take_over(conversation_id, request.person, self._clock())

    def write(self, conversation_id: str, request: PersonMessageRequest) -> Conversation:
        """The person who has the chat says something."""
        text = self._mask(request.text)
        return self._conversations.write(conversation_id, request.person, text, self._clock())

    def release(self, conversation_id: str, request: ReleaseRequest) -> Conversation:
        """The person gives the chat back to the bot, or closes it."""
        return self._conversations.release(
            conversation_id, request.person, self._clock(), close=request.close
        )

    async def _masked(self, texts: Sequence[str]) -> list[str]:
        """The texts without personal data. What takes longer than a hand-over has a thread."""
        if sum(map(len, texts)) <= MASKED_AT_ONCE:
            return [self._mask(text) for text in texts]
        return await run_in_threadpool(lambda: [self._mask(text) for text in texts])

    async def _read(self, texts: list[str]) -> list[Reading]:
        """Readings of one version; once more where a swap fell between two batches."""
        readings = await self._batcher.submit(texts)
        if len({reading.prediction.version for reading in readings}) > 1:
            readings = await self._batcher.submit(texts)
        for one in readings:
            self._observe(one)
        return readings

    def _take_turn(self, conversation_id: str | None, text: str, reading: Reading) -> TakenTurn:
        def respond(connection: Connection, state: ChatState) -> BotReply:
            def answer_for(intent: str) -> str | None:
                return written_answer(connection, intent) or reading.book.answers.get(intent)

            return reply_to(state, text, reading, answer_for)

        return self._conversations.take_turn(
            conversation_id, text, reading, respond, now=self._clock()
        )


def as_classification(text: str, reading: Reading) -> Classification:
    """The shape of one reading; ``text`` is masked already."""
    prediction, decision = reading.prediction, reading.decision
    return Classification(
        text=text,
        intent=decision.intent,
        action=decision.action,
        confidence=decision.confidence,
        in_scope_score=prediction.in_scope_score,
        reason=decision.reason,
        ranked=_scores(prediction.ranked),
    )


def _as_reply(turn: TakenTurn) -> ChatReply:
    reply = turn.reply
    return ChatReply(
        conversation_id=turn.conversation_id,
        owner=reply.owner,
        message_id=turn.message_id,
        text=reply.text,
        action=reply.action,
        intent=reply.intent,
        confidence=reply.confidence,
        reason=reply.reason,
        options=_scores(reply.options),
        source=reply.source,
        handover=reply.handover,
    )


def _scores(scores: Sequence[LabelScore]) -> list[IntentScore]:
    return [IntentScore(intent=one.label, probability=one.probability) for one in scores]
