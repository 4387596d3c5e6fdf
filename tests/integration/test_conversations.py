"""Conversations on SQLite and PostgreSQL: turns, people, time, races, and what is stored."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, func, insert, select

from apps.support.conversation.conversations import Conversations
from apps.support.service import SupportService
from shared.api.support import (
    ChatReply,
    ChatRequest,
    Conversation,
    PersonMessageRequest,
    ReleaseRequest,
    TakeOverRequest,
)
from shared.errors import Conflict, NotFound
from shared.privacy import mask_personal_data
from shared.storage.tables import conversations, intent_answers, messages
from tests.fakes.predictor import KeywordPredictor
from tests.fakes.support_desk import ClockFake, DirectBatcher, shop_desk, shop_in_use

pytestmark = pytest.mark.integration


class Shop:
    """The service on a real database, with a clock that the test moves."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.clock = ClockFake()
        self.counted: list[str] = []
        self.predictor = KeywordPredictor()
        in_use = shop_in_use(shop_desk(self.predictor))
        self.batcher = DirectBatcher(in_use.read)
        self.service = SupportService(
            desk=in_use,
            batcher=self.batcher,
            conversations=Conversations(engine, timeout=timedelta(minutes=30)),
            mask=mask_personal_data,
            attribute=lambda predictor, text, intent: [],
            clock=self.clock,
            count=self.counted.append,
        )

    def chat(self, text: str, conversation_id: str | None = None) -> ChatReply:
        self.clock.forward(seconds=1)
        request = ChatRequest(text=text, conversation_id=conversation_id)
        return asyncio.run(self.service.chat(request))

    def handed_over(self) -> str:
        return self.chat("quantum entanglement").conversation_id

    def take_over(self, conversation_id: str, person: str = "Ada") -> Conversation:
        return self.service.take_over(conversation_id, TakeOverRequest(person=person))

    def write(self, conversation_id: str, text: str, person: str = "Ada") -> Conversation:
        request = PersonMessageRequest(person=person, text=text)
        return self.service.write(conversation_id, request)

    def release(
        self, conversation_id: str, person: str = "Ada", *, close: bool = False
    ) -> Conversation:
        return self.service.release(conversation_id, ReleaseRequest(person=person, close=close))


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return Shop(engine)


def test_an_answered_message_and_its_transcript(shop: Shop) -> None:
    reply = shop.chat("I want a refund")
    assert (reply.action, reply.owner, reply.intent) == ("answer", "bot", "refund")
    shown = shop.service.show(reply.conversation_id)
    assert [(one.author, one.text, one.action) for one in shown.messages] == [
        ("customer", "I want a refund", "answer"),
        ("bot", "Refunds take five days.", "answer"),
    ]
    assert shown.messages[0].id == reply.message_id
    assert shown.messages[0].created_at == shop.clock.now
    assert shop.counted == ["answer"]


def test_the_answer_that_a_person_wrote_wins(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        connection.execute(
            insert(intent_answers).values(
                app="support",
                name="refund",
                answer="Three days now.",
                author="Ada",
                created_at=shop.clock.now,
            )
        )
    assert shop.chat("refund").text == "Three days now."


def test_a_question_is_settled_by_the_next_turn(shop: Shop) -> None:
    asked = shop.chat("my parcel")
    assert asked.action == "clarify"
    assert [option.intent for option in asked.options] == ["change_address", "track_order"]
    reply = shop.chat("the second one", asked.conversation_id)
    assert (reply.action, reply.intent) == ("answer", "track_order")
    again = shop.chat("2", asked.conversation_id)
    assert again.action == "handoff", "the question is settled and stands no more"


def test_a_second_failure_calls_a_person(shop: Shop) -> None:
    asked = shop.chat("my parcel")
    reply = shop.chat("my parcel", asked.conversation_id)
    assert (reply.action, reply.owner) == ("handoff", "waiting")
    shown = shop.service.show(asked.conversation_id)
    assert shown.owner == "waiting"
    assert shown.handover is not None
    assert shown.handover.reason.startswith("still unclear")
    assert shown.handover.ranked[0].intent == "change_address"
    assert len(shown.messages) == 4


def test_the_bot_is_silent_while_a_person_has_the_chat(shop: Shop) -> None:
    key = shop.handed_over()
    taken = shop.take_over(key)
    assert (taken.owner, taken.person) == ("person", "Ada")
    assert taken.handover is not None, "the person sees why they were called"
    reply = shop.chat("I want a refund", key)
    assert (reply.text, reply.action, reply.owner) == (None, None, "person")
    shown = shop.write(key, "Hello, Ada here.")
    assert [one.author for one in shown.messages] == ["customer", "bot", "customer", "person"]
    assert shown.messages[-1].name == "Ada"
    released = shop.release(key)
    assert (released.owner, released.person, released.handover) == ("bot", None, None)
    assert shop.chat("I want a refund", key).action == "answer"


def test_a_silent_person_loses_the_chat_to_the_bot(shop: Shop) -> None:
    key = shop.handed_over()
    shop.take_over(key)
    shop.clock.forward(minutes=29)
    shop.write(key, "One moment.")
    shop.clock.forward(minutes=29)
    assert shop.chat("refund", key).owner == "person", "writing starts the time anew"
    shop.clock.forward(minutes=2)
    assert shop.service.show(key).owner == "bot"
    assert shop.service.show(key).person is None
    with pytest.raises(Conflict, match="take it over first"):
        shop.write(key, "Still here!")
    assert shop.chat("refund", key).action == "answer"
    assert shop.take_over(key, "Grace").person == "Grace"


def test_a_customer_for_whom_nobody_came_is_heard_by_the_bot_again(shop: Shop) -> None:
    key = shop.handed_over()
    waiting = shop.chat("refund", key)
    assert (waiting.action, waiting.owner) == ("handoff", "waiting")
    assert waiting.handover is not None
    shop.clock.forward(minutes=31)
    assert shop.service.show(key).owner == "waiting", "the queue forgets nobody"
    reply = shop.chat("refund", key)
    assert (reply.action, reply.owner) == ("answer", "bot")


def test_two_people_and_a_closed_chat(shop: Shop) -> None:
    key = shop.chat("refund").conversation_id
    shop.take_over(key)
    assert shop.take_over(key).person == "Ada", "taking twice is taking once"
    for act in (shop.take_over, shop.release):
        with pytest.raises(Conflict, match="Ada has conversation"):
            act(key, "Grace")
    with pytest.raises(Conflict, match="Ada has conversation"):
        shop.write(key, "Mine!", "Grace")
    assert shop.release(key, close=True).owner == "closed"
    closed: list[Callable[[], object]] = [
        lambda: shop.chat("refund", key),
        lambda: shop.take_over(key),
        lambda: shop.write(key, "x"),
        lambda: shop.release(key),
    ]
    for act_on_closed in closed:
        with pytest.raises(Conflict, match="is closed"):
            act_on_closed()


def test_an_unknown_conversation_is_named(shop: Shop) -> None:
    missing = "0" * 32
    for act in (shop.take_over, shop.release, shop.service.show):
        with pytest.raises(NotFound, match=missing):
            act(missing)
    with pytest.raises(NotFound, match=missing):
        shop.chat("refund", missing)


def test_the_list_filters_by_owner_and_puts_the_newest_first(shop: Shop) -> None:
    answered = shop.chat("refund").conversation_id
    waiting = shop.handed_over()
    mine = shop.handed_over()
    shop.take_over(mine)
    everything = shop.service.list_conversations(None, 10)
    assert [one.id for one in everything] == [mine, waiting, answered]
    assert [one.id for one in shop.service.list_conversations("waiting", 10)] == [waiting]
    (called,) = shop.service.list_conversations("waiting", 10)
    assert called.messages == 2
    assert called.reason
    assert called.last_text.startswith("I am not sure enough")
    assert [one.person for one in shop.service.list_conversations("person", 10)] == ["Ada"]
    shop.clock.forward(minutes=31)
    assert shop.service.list_conversations("person", 10) == []
    assert {one.id for one in shop.service.list_conversations("bot", 10)} == {answered, mine}
    assert len(shop.service.list_conversations(None, 2)) == 2


def test_what_is_stored_holds_no_personal_data(shop: Shop) -> None:
    secret = "ada@example.org"
    reply = shop.chat(f"refund to {secret} please")
    shop.take_over(reply.conversation_id)
    shop.write(reply.conversation_id, f"I write to {secret}")
    shop.release(reply.conversation_id)
    shop.chat(f"parcel for {secret}", reply.conversation_id)
    with shop.engine.begin() as connection:
        rows = [*connection.execute(select(messages)), *connection.execute(select(conversations))]
    assert len(rows) > 5
    assert not any(secret in str(tuple(row)) for row in rows)
    assert any("[email]" in str(tuple(row)) for row in rows)
    assert not any(secret in text for batch in shop.predictor.calls for text in batch)


def test_what_the_review_queue_gets(shop: Shop) -> None:
    shop.chat("refund")
    shop.chat("quantum entanglement")
    asked = shop.chat("my parcel")
    shop.chat("2", asked.conversation_id)
    shop.chat("give me a human")
    with shop.engine.begin() as connection:
        rows = connection.execute(
            select(messages).where(messages.c.author == "customer").order_by(messages.c.id)
        ).all()
    states = [row.review_state for row in rows]
    assert states == [None, "waiting", "waiting", None, None]
    assert rows[2].action == "clarify"
    assert rows[2].ranked[0]["intent"] == "change_address"
    stored = np.frombuffer(rows[2].embedding, dtype=np.float16)
    assert stored == pytest.approx(shop.predictor.embed(["my parcel"])[0], abs=1e-3)
    assert rows[2].version == shop.predictor.version


def test_messages_at_once_are_taken_one_after_the_other(shop: Shop) -> None:
    """A question is open and eight replies come at once: one settles it, the others see that."""
    asked = shop.chat("my parcel")
    start = threading.Barrier(8)

    def reply(_: int) -> ChatReply:
        start.wait()
        return shop.chat("2", asked.conversation_id)

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(reply, range(8)))
    settled = [one for one in replies if one.action == "answer"]
    assert [one.intent for one in settled] == ["track_order"]
    assert sum(one.reason.startswith("confidence") for one in replies) == 1, "one hands over"
    assert sum(one.reason == "a person was called" for one in replies) == 6
    shown = shop.service.show(asked.conversation_id)
    assert shown.owner == "waiting"
    authors = [one.author for one in shown.messages]
    assert authors == ["customer", "bot"] * 9, "no turn fell between another's two messages"


def test_two_people_who_reach_for_one_chat_at_once(shop: Shop) -> None:
    key = shop.handed_over()
    start = threading.Barrier(6)

    def reach(number: int) -> str:
        start.wait()
        try:
            shop.take_over(key, f"person {number}")
        except Conflict:
            return "refused"
        return f"person {number}"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(reach, range(6)))
    winners = [outcome for outcome in outcomes if outcome != "refused"]
    assert len(winners) == 1
    assert shop.service.show(key).person == winners[0]


def test_many_chats_at_once_lose_nothing(shop: Shop) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(shop.chat, ["refund"] * 40))
    assert len({one.conversation_id for one in replies}) == 40
    with shop.engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(messages)).scalar_one() == 80
