"""The review queue on SQLite and PostgreSQL: order, a person's word, groups of strays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, insert, select

from apps.support.learning.review import proposals, queue, resolve
from data_connectors.feedback import read_feedback
from shared.api.support import FeedbackReceipt
from shared.errors import Conflict, DataError, NotFound
from shared.records import OUT_OF_SCOPE
from shared.storage.tables import conversations, feedback, messages

pytestmark = pytest.mark.integration

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
CHAT = "c" * 32


@pytest.fixture(autouse=True)
def chat(engine: Engine) -> None:
    row = {"id": CHAT, "owner": "bot", "created_at": NOW, "updated_at": NOW}
    with engine.begin() as connection:
        connection.execute(insert(conversations).values(row))


def say(
    engine: Engine, text: str, axis: int | None, confidence: float | None = 0.3, **changes: object
) -> int:
    """A customer's message whose embedding points along ``axis``; gives its id."""
    vector = None if axis is None else np.eye(8, dtype=np.float16)[axis].tobytes()
    row = {
        "conversation_id": CHAT,
        "author": "customer",
        "text": text,
        "created_at": NOW,
        "action": "handoff",
        "intent": "track_order",
        "confidence": confidence,
        "ranked": [{"intent": "track_order", "probability": 0.4}],
        "version": "v1",
        "embedding": vector,
        "review_state": "waiting",
        **changes,
    }
    with engine.begin() as connection:
        key = connection.execute(insert(messages).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def state(engine: Engine, message_id: int) -> str | None:
    with engine.connect() as connection:
        query = select(messages.c.review_state).where(messages.c.id == message_id)
        return connection.execute(query).scalar_one()


def test_the_queue_shows_what_waits_the_uncertain_and_the_different_first(engine: Engine) -> None:
    sure = say(engine, "where is it", 0, 0.6)
    unsure = say(engine, "parcel where", 1, 0.1, action="clarify")
    copy = say(engine, "parcel  WHERE", 1, 0.12)
    say(engine, "answered with confidence", 2, 0.99, review_state=None)
    say(engine, "seen before", 3, 0.0, review_state="done")
    found = queue(engine, 10)
    assert found.total == 3
    assert [item.message_id for item in found.items] == [unsure, sure, copy]
    first = found.items[0]
    assert (first.text, first.action, first.created_at) == ("parcel where", "clarify", NOW)
    assert (first.ranked[0].intent, first.confidence) == ("track_order", pytest.approx(0.1))


def test_the_limit_shortens_the_items_and_not_the_total(engine: Engine) -> None:
    for axis in range(4):
        say(engine, f"message {axis}", axis)
    found = queue(engine, 2)
    assert (found.total, len(found.items)) == (4, 2)


def test_an_empty_queue_is_empty(engine: Engine) -> None:
    found = queue(engine, 10)
    assert (found.total, found.items) == (0, [])


def test_messages_without_an_embedding_or_of_another_encoder_are_queued_too(
    engine: Engine,
) -> None:
    expected = {
        say(engine, "old", None, None),
        say(engine, "other encoder", None, embedding=np.ones(3, np.float16).tobytes()),
        say(engine, "new", 0),
    }
    assert {item.message_id for item in queue(engine, 10).items} == expected


def test_a_word_on_a_message_is_feedback_with_who_and_when(engine: Engine) -> None:
    message = say(engine, "it never came", 0)
    receipt = resolve(engine, message, "refund", "Ada", NOW, known=["refund", "track_order"])
    assert receipt is not None
    assert (receipt.text, receipt.intent, receipt.author) == ("it never came", "refund", "Ada")
    with engine.connect() as connection:
        row = connection.execute(select(feedback)).one()
    assert (row.id, row.app, row.label, row.created_at) == (receipt.id, "support", "refund", NOW)
    assert (row.predicted, row.version, row.message_id) == ("track_order", "v1", message)
    assert state(engine, message) == "done"
    assert queue(engine, 10).total == 0


def test_a_correction_comes_back_as_an_example(engine: Engine) -> None:
    resolve(engine, say(engine, "it never came", 0), "refund", "Ada", NOW)
    later = say(engine, "It never  came", 0)
    resolve(engine, later, OUT_OF_SCOPE, "Bob", NOW + timedelta(minutes=1))
    (example,) = read_feedback(engine, "support").examples
    assert (example.text, example.label) == ("It never  came", OUT_OF_SCOPE)
    assert example.details["author"] == "Bob"


def test_a_message_set_aside_leaves_the_queue_without_feedback(engine: Engine) -> None:
    message = say(engine, "hm", 0)
    assert resolve(engine, message, None, "Ada", NOW) is None
    assert state(engine, message) == "skipped"
    assert read_feedback(engine, "support").examples == ()


@pytest.mark.parametrize("message_id", [7, 0, -1, 2**31, 2**70])
def test_a_message_that_does_not_exist_is_not_found(engine: Engine, message_id: int) -> None:
    with pytest.raises(NotFound, match=f"no message {message_id}"):
        resolve(engine, message_id, "refund", "Ada", NOW)


def test_a_second_word_on_a_message_is_a_conflict(engine: Engine) -> None:
    message = say(engine, "hm", 0)
    resolve(engine, message, None, "Ada", NOW)
    with pytest.raises(Conflict, match="resolved before"):
        resolve(engine, message, "refund", "Bob", NOW)
    assert read_feedback(engine, "support").examples == ()


def test_a_message_that_was_never_queued_is_a_conflict(engine: Engine) -> None:
    message = say(engine, "hm", 0, review_state=None)
    with pytest.raises(Conflict, match="not in the review queue"):
        resolve(engine, message, "refund", "Ada", NOW)


def test_an_unknown_intent_is_refused_and_the_message_waits_on(engine: Engine) -> None:
    message = say(engine, "hm", 0)
    with pytest.raises(DataError, match="'refnud' is no intent"):
        resolve(engine, message, "refnud", "Ada", NOW, known=["refund"])
    assert state(engine, message) == "waiting"


def test_of_two_words_at_once_one_counts(engine: Engine) -> None:
    message = say(engine, "hm", 0)

    def decide(author: str) -> FeedbackReceipt | Conflict | None:
        try:
            return resolve(engine, message, "refund", author, NOW)
        except Conflict as conflict:
            return conflict

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(decide, ["Ada", "Bob", "Cy", "Di"]))
    winners = [one for one in outcomes if isinstance(one, FeedbackReceipt)]
    assert len(winners) == 1
    with engine.connect() as connection:
        assert connection.execute(select(feedback.c.author)).all() == [(winners[0].author,)]


def test_messages_handed_over_are_grouped_and_named(engine: Engine) -> None:
    gifts = ["gift cards?", "do you sell gift cards", "I want gift cards"]
    for text in gifts:
        say(engine, text, 0, in_scope_score=-3.0)
    jobs = [say(engine, f"any job number {n}", 1, action="clarify") for n in range(4)]
    for message in jobs:
        resolve(engine, message, OUT_OF_SCOPE, "Ada", NOW)
    say(engine, "how tall is the moon", 2)
    found = proposals(engine).proposals
    assert [(one.name, one.size) for one in found] == [("job_number", 4), ("gift_cards", 3)]
    assert sorted(found[1].texts) == sorted(gifts)
    assert found[0].cohesion == pytest.approx(1.0)
    assert proposals(engine, taken=["gift_cards"]).proposals[1].name == "gift_cards_2"
    assert [one.size for one in proposals(engine, min_size=4).proposals] == [4]


def test_what_is_no_stray_message_is_in_no_group(engine: Engine) -> None:
    for n in range(3):
        say(engine, f"asked back {n}", 0, action="clarify")
        say(engine, f"a sure wish for a person {n}", 1, 0.95)
        corrected = say(engine, f"a refund after all {n}", 2)
        resolve(engine, corrected, "refund", "Ada", NOW)
        say(engine, f"a person's answer {n}", 3, author="person")
        say(engine, "the same words each time", 4)
    assert proposals(engine, threshold=0.9).proposals == []


def test_a_text_that_found_its_intent_since_leaves_its_group(engine: Engine) -> None:
    stray = [say(engine, f"gift card {n}", 0) for n in range(3)]
    for message in stray:
        resolve(engine, message, OUT_OF_SCOPE, "Ada", NOW)
    assert len(proposals(engine).proposals) == 1
    again = say(engine, "gift card 0", 0)
    resolve(engine, again, "gift_card", "Ada", NOW + timedelta(minutes=1))
    assert proposals(engine).proposals == []
