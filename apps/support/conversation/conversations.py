"""Conversations in the database: who owns them, what was said, what waits for an answer.

Every change locks the conversation's row first, so that two messages at once are taken one after
the other, on SQLite (one writer at a time) and on PostgreSQL (``FOR UPDATE``) alike.

    bot ──hand-over──> waiting ──person takes over──> person ──release──> bot
     ^                    │                             │   └──close───> closed
     └── the customer writes and nobody came in time ───┴── the person was silent too long
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    case,
    func,
    insert,
    literal,
    select,
    update,
)

from apps.support.conversation.clarification import PendingQuestion
from apps.support.conversation.dialogue import BotReply, ChatState
from apps.support.inference import Reading
from apps.support.learning.review import needs_review
from shared.api.support import (
    Conversation,
    ConversationSummary,
    Handover,
    Message,
    Owner,
)
from shared.errors import Conflict, NotFound
from shared.storage.engine import reading
from shared.storage.tables import conversations, messages

Respond = Callable[[Connection, ChatState], BotReply]

LAST_TEXT = 200
"""Characters of the last message that the list shows."""


@dataclass(frozen=True, slots=True)
class TakenTurn:
    """A customer's message as it was stored, and the bot's reply to it."""

    conversation_id: str
    message_id: int
    reply: BotReply


class Conversations:
    """Reads and changes conversations. ``timeout`` is the silence that ends a person's turn."""

    def __init__(
        self,
        engine: Engine,
        *,
        timeout: timedelta,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._engine = engine
        self._timeout = timeout
        self._new_id = new_id

    def take_turn(
        self,
        conversation_id: str | None,
        text: str,
        read: Reading,
        respond: Respond,
        *,
        now: datetime,
    ) -> TakenTurn:
        """Store a customer's message and what ``respond`` makes of it, in one transaction.

        Without an id a conversation begins. ``text`` has its personal data masked already.
        Raises NotFound for an unknown id and Conflict for a closed conversation.
        """
        with self._engine.begin() as connection:
            if conversation_id is None:
                conversation_id = self._begin(connection, now)
                state = ChatState("bot")
            else:
                state = self._state(self._lock(connection, conversation_id), now)
            reply = respond(connection, state)
            message_id = self._add(
                connection,
                conversation_id,
                now,
                author="customer",
                text=text,
                **_customer_columns(reply, read),
            )
            if reply.text is not None:
                self._add(
                    connection,
                    conversation_id,
                    now,
                    author="bot",
                    text=reply.text,
                    action=reply.action,
                    intent=reply.intent,
                    confidence=reply.confidence,
                    version=read.prediction.version,
                )
            self._change(connection, conversation_id, now, **_standing(state, reply, now))
        return TakenTurn(conversation_id, message_id, reply)

    def take_over(self, conversation_id: str, person: str, now: datetime) -> Conversation:
        """A person takes the chat. Raises Conflict where another person has it, or it is closed."""
        with self._engine.begin() as connection:
            row = self._lock(connection, conversation_id)
            if row.owner == "closed":
                raise Conflict(f"conversation {row.id} is closed", conversation_id=row.id)
            if self._owned(row, now) and row.person != person:
                raise Conflict(
                    f"{row.person} has conversation {row.id}",
                    conversation_id=row.id,
                    person=row.person,
                )
            stale = row.owner == "person" and not self._owned(row, now)
            self._change(
                connection,
                conversation_id,
                now,
                owner="person",
                person=person,
                person_active_at=now,
                pending=None,
                **({"handover": None} if stale else {}),
            )
            return self._show(connection, conversation_id, now)

    def write(self, conversation_id: str, person: str, text: str, now: datetime) -> Conversation:
        """The person who has the chat says something. Raises Conflict for anyone else."""
        with self._engine.begin() as connection:
            self._require_owner(self._lock(connection, conversation_id), person, now)
            self._add(connection, conversation_id, now, author="person", name=person, text=text)
            self._change(connection, conversation_id, now, person_active_at=now)
            return self._show(connection, conversation_id, now)

    def release(
        self, conversation_id: str, person: str, now: datetime, *, close: bool = False
    ) -> Conversation:
        """The person who has the chat gives it back to the bot, or closes it."""
        with self._engine.begin() as connection:
            self._require_owner(self._lock(connection, conversation_id), person, now)
            self._change(
                connection,
                conversation_id,
                now,
                owner="closed" if close else "bot",
                person=None,
                person_active_at=None,
                handover=None,
                pending=None,
            )
            return self._show(connection, conversation_id, now)

    def show(self, conversation_id: str, now: datetime) -> Conversation:
        """A conversation with its transcript. Raises NotFound."""
        with reading(self._engine) as connection:
            return self._show(connection, conversation_id, now)

    def summaries(
        self, now: datetime, *, owner: Owner | None = None, limit: int = 50
    ) -> list[ConversationSummary]:
        """The conversations (of one owner), the most recently changed first."""
        effective = self._effective_owner(now)
        of_this = messages.c.conversation_id == conversations.c.id
        count = select(func.count()).select_from(messages).where(of_this).scalar_subquery()
        last = (
            select(messages.c.text)
            .where(of_this)
            .order_by(messages.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        query = select(
            conversations,
            effective.label("effective"),
            count.label("messages"),
            func.coalesce(last, "").label("last_text"),
        )
        if owner is not None:
            query = query.where(effective == owner)
        query = query.order_by(conversations.c.updated_at.desc(), conversations.c.id).limit(limit)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [
            ConversationSummary(
                id=row.id,
                owner=row.effective,
                person=row.person if row.effective == "person" else None,
                created_at=row.created_at,
                updated_at=row.updated_at,
                messages=row.messages,
                last_text=row.last_text[:LAST_TEXT],
                reason=handover.reason if (handover := _handover(row, row.effective)) else None,
            )
            for row in rows
        ]

    # Who owns a conversation now

    def _effective_owner(self, now: datetime) -> ColumnElement[str]:
        """The owner, a person who was silent too long counted as gone: ``_owned`` in SQL."""
        gone = and_(
            conversations.c.owner == "person",
            conversations.c.person_active_at < now - self._timeout,
        )
        return case((gone, literal("bot")), else_=conversations.c.owner)

    def _owned(self, row: Row[Any], now: datetime) -> bool:
        """Whether a person has the chat and was not silent too long."""
        return row.owner == "person" and not self._overdue(row, now)

    def _overdue(self, row: Row[Any], now: datetime) -> bool:
        since = row.person_active_at
        return since is not None and since < now - self._timeout

    def _state(self, row: Row[Any], now: datetime) -> ChatState:
        """Where the chat stands when the customer writes."""
        if row.owner == "closed":
            raise Conflict(
                f"conversation {row.id} is closed: start another one", conversation_id=row.id
            )
        if row.owner in ("person", "waiting") and self._overdue(row, now):
            return ChatState("bot")  # nobody came, or the person left
        pending = PendingQuestion.from_json(row.pending) if row.pending else None
        return ChatState(row.owner, pending, _handover(row, row.owner))

    def _require_owner(self, row: Row[Any], person: str, now: datetime) -> None:
        if row.owner == "closed":
            raise Conflict(f"conversation {row.id} is closed", conversation_id=row.id)
        if not self._owned(row, now):
            raise Conflict(
                f"nobody has conversation {row.id} at present: take it over first",
                conversation_id=row.id,
            )
        if row.person != person:
            raise Conflict(
                f"{row.person} has conversation {row.id}, not {person}",
                conversation_id=row.id,
                person=row.person,
            )

    # Rows

    def _begin(self, connection: Connection, now: datetime) -> str:
        conversation_id = self._new_id()
        connection.execute(
            insert(conversations).values(
                id=conversation_id, owner="bot", created_at=now, updated_at=now
            )
        )
        return conversation_id

    def _lock(self, connection: Connection, conversation_id: str) -> Row[Any]:
        row = connection.execute(
            select(conversations).where(conversations.c.id == conversation_id).with_for_update()
        ).one_or_none()
        if row is None:
            raise _unknown(conversation_id)
        return row

    def _add(
        self, connection: Connection, conversation_id: str, now: datetime, **columns: Any
    ) -> int:
        key = connection.execute(
            insert(messages).values(conversation_id=conversation_id, created_at=now, **columns)
        ).inserted_primary_key
        assert key is not None
        return int(key[0])

    def _change(
        self, connection: Connection, conversation_id: str, now: datetime, **columns: Any
    ) -> None:
        connection.execute(
            update(conversations)
            .where(conversations.c.id == conversation_id)
            .values(updated_at=now, **columns)
        )

    def _show(self, connection: Connection, conversation_id: str, now: datetime) -> Conversation:
        row = connection.execute(
            select(conversations, self._effective_owner(now).label("effective")).where(
                conversations.c.id == conversation_id
            )
        ).one_or_none()
        if row is None:
            raise _unknown(conversation_id)
        said = connection.execute(
            select(messages)
            .where(messages.c.conversation_id == conversation_id)
            .order_by(messages.c.id)
        )
        return Conversation(
            id=row.id,
            owner=row.effective,
            person=row.person if row.effective == "person" else None,
            created_at=row.created_at,
            updated_at=row.updated_at,
            handover=_handover(row, row.effective),
            messages=[
                Message(
                    id=one.id,
                    author=one.author,
                    name=one.name,
                    text=one.text,
                    created_at=one.created_at,
                    action=one.action,
                    intent=one.intent,
                    confidence=one.confidence,
                )
                for one in said
            ],
        )


def _unknown(conversation_id: str) -> NotFound:
    return NotFound(f"there is no conversation {conversation_id}", conversation_id=conversation_id)


def _handover(row: Row[Any], owner: str) -> Handover | None:
    if row.handover is None or owner not in ("waiting", "person"):
        return None
    return Handover.model_validate(row.handover)


def _standing(state: ChatState, reply: BotReply, now: datetime) -> dict[str, Any]:
    """The conversation's columns after a turn; a person's and a waiting chat's stay as they are."""
    if state.owner in ("person", "waiting"):
        return {}
    return {
        "owner": reply.owner,
        "person": None,
        "person_active_at": now if reply.owner == "waiting" else None,
        "handover": reply.handover.model_dump(mode="json") if reply.handover else None,
        "pending": reply.pending.as_json() if reply.pending else None,
    }


def _customer_columns(reply: BotReply, read: Reading) -> dict[str, Any]:
    """What the model made of the customer's message, where the reply rests on that."""
    columns: dict[str, Any] = {
        "action": reply.action,
        "intent": reply.intent,
        "confidence": reply.confidence,
        "version": read.prediction.version,
    }
    if not reply.judged or reply.action is None:
        return columns
    wanted = needs_review(reply.action, reply.confidence, read.policy.answer_threshold)
    if reply.asked_for_person and read.policy.is_sure(read.prediction):
        wanted = False  # a sure reading, rightly handed over: there is nothing to correct
    ranked = [
        {"intent": score.label, "probability": score.probability}
        for score in read.prediction.ranked
    ]
    return {
        **columns,
        "ranked": ranked,
        "in_scope_score": read.prediction.in_scope_score,
        "embedding": read.embedding.astype(np.float16).tobytes(),
        "review_state": "waiting" if wanted else None,
    }
