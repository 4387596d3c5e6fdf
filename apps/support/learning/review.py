"""The review queue: which messages a person should look at, and what becomes of their word.

A message joins the queue when it is stored with ``review_state`` "waiting" (ask ``needs_review``)
and leaves it through ``resolve``, which writes the person's word to the ``feedback`` table. From
there the feedback connector brings it back as an example.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Engine, Row, and_, func, insert, or_, select, update

from apps.support.conversation.knowledge import APP
from apps.support.learning.intent_groups import group_by_meaning, name_groups, unit_rows
from shared.api.support import (
    FeedbackReceipt,
    IntentProposal,
    IntentProposals,
    IntentScore,
    ReviewItem,
    ReviewQueue,
)
from shared.errors import Conflict, DataError, NotFound
from shared.records import OUT_OF_SCOPE, fold_text
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.tables import feedback, messages

CANDIDATES = 2_000
"""Most messages that one ordering or grouping looks at."""
PROPOSED_TEXTS = 50
"""Most texts that a proposal shows."""
LARGEST_ID = 2**31 - 1


def needs_review(action: str, confidence: float | None, threshold: float) -> bool:
    """Whether a customer's message belongs in the queue.

    ``apps.support.service`` asks this for each of the customer's messages before it stores it, and
    sets ``review_state`` to "waiting" when it is true (else null). ``threshold`` is the answer
    threshold of the version in use.
    """
    return action != "answer" or confidence is None or confidence < threshold


def order_by_uncertainty_and_diversity(
    confidence: NDArray[np.floating], embeddings: NDArray[np.floating], limit: int
) -> NDArray[np.int64]:
    """Row numbers of the messages to look at first, at most ``limit`` of them.

    ``confidence`` [n] in [0, 1]; ``embeddings`` [n, d], any scale. Greedy farthest-point
    selection weighed by uncertainty: the most uncertain row comes first, then again and again the
    row with the largest ``(1 - confidence) * cosine distance to the nearest row chosen so far``.
    A near copy of a chosen row thus waits until the rows that are new have had their turn. A row
    of zeros (no embedding) counts as new. Equal rows keep their order. Sources: farthest-point
    selection, Gonzalez 1985; as a core set for active learning, Sener and Savarese 2018
    (arXiv 1708.00489).
    """
    if len(confidence) != len(embeddings):
        raise ValueError(f"{len(confidence)} confidences for {len(embeddings)} embeddings")
    by_uncertainty = np.argsort(confidence, kind="stable")
    uncertainty = np.clip(1.0 - np.asarray(confidence, dtype=np.float64)[by_uncertainty], 0.0, 1.0)
    unit = unit_rows(embeddings)[by_uncertainty]
    distance = np.ones(len(unit))
    chosen: list[int] = []
    for _ in range(min(max(limit, 0), len(unit))):
        priority = uncertainty * distance
        priority[chosen] = -1.0
        best = int(np.argmax(priority))
        chosen.append(best)
        distance = np.minimum(distance, np.clip(1.0 - unit @ unit[best], 0.0, 1.0))
    return by_uncertainty[np.array(chosen, dtype=np.int64)]


def queue(engine: Engine, limit: int) -> ReviewQueue:
    """The messages that wait for a person, in the order worth looking at, at most ``limit``.

    Of more than ``CANDIDATES`` waiting messages the least confident are ordered.
    """
    waiting = messages.c.review_state == "waiting"
    with reading(engine) as connection:
        total = connection.execute(select(func.count()).where(waiting)).scalar_one()
        rows = connection.execute(
            select(messages)
            .where(waiting)
            .order_by(func.coalesce(messages.c.confidence, 0.0), messages.c.id)
            .limit(CANDIDATES)
        ).all()
    confidence = np.array([row.confidence or 0.0 for row in rows])
    order = order_by_uncertainty_and_diversity(confidence, _embeddings(rows), limit)
    return ReviewQueue(total=total, items=[_item(rows[row]) for row in order])


def resolve(
    engine: Engine,
    message_id: int,
    intent: str | None,
    author: str,
    now: datetime,
    *,
    known: Collection[str] | None = None,
) -> FeedbackReceipt | None:
    """Store a person's word on a queued message, and take the message off the queue.

    ``intent`` is the right intent, ``out_of_scope``, or None to set the message aside: then no
    feedback is written and None comes back. ``known`` are the intents of the version in use; an
    ``intent`` that is not among them is a DataError (no check without ``known``). NotFound where
    there is no such message; Conflict where it does not wait: two people who resolve one message
    at once get one receipt and one Conflict.
    """
    if intent is not None and known is not None and intent not in {*known, OUT_OF_SCOPE}:
        raise DataError(
            f"{intent!r} is no intent of the model in use; choose one of its intents or"
            f" {OUT_OF_SCOPE!r}, or add the intent first",
            intent=intent,
        )
    if not 1 <= message_id <= LARGEST_ID:
        raise NotFound(f"there is no message {message_id}", message_id=message_id)
    this = messages.c.id == message_id
    with engine.begin() as connection:
        # The update comes first: whoever changes the row has the message, on both databases.
        taken = connection.execute(
            update(messages)
            .where(this, messages.c.review_state == "waiting")
            .values(review_state="skipped" if intent is None else "done")
        ).rowcount
        row = connection.execute(select(messages).where(this)).one_or_none()
        if row is None:
            raise NotFound(f"there is no message {message_id}", message_id=message_id)
        if not taken:
            raise Conflict(_why_not_waiting(row), message_id=message_id, state=row.review_state)
        details = {"app": APP, "message": message_id, "intent": intent}
        action = "message set aside" if intent is None else "correction"
        record(connection, actor=author, action=action, details=details, at=now)
        if intent is None:
            return None
        values = {
            "app": APP,
            "text": row.text,
            "label": intent,
            "author": author,
            "created_at": now,
            "predicted": row.intent,
            "version": row.version,
            "note": "",
            "message_id": message_id,
        }
        key = connection.execute(insert(feedback).values(values)).inserted_primary_key
        assert key is not None
    return FeedbackReceipt(id=key[0], text=row.text, intent=intent, author=author, created_at=now)


def proposals(
    engine: Engine, *, min_size: int = 3, threshold: float = 1.0, taken: Collection[str] = ()
) -> IntentProposals:
    """Groups of messages that fit no intent, each with a name for an intent of its own.

    Looks at the newest ``CANDIDATES`` messages of customers that were handed over for want of
    confidence and wait for review, or that a person called out of scope. A text whose newest
    correction names an intent is left out, and equal texts count once. ``threshold`` is the
    answer threshold of the version in use: what was handed over with at least that confidence
    was understood (the customer asked for a person, or the intent has no answer). ``taken`` are
    names that no proposal may have.
    """
    out_of_scope = select(feedback.c.message_id).where(
        feedback.c.app == APP, feedback.c.label == OUT_OF_SCOPE, feedback.c.message_id.is_not(None)
    )
    with reading(engine) as connection:
        rows = connection.execute(
            select(messages)
            .where(
                messages.c.author == "customer",
                messages.c.embedding.is_not(None),
                or_(_handed_over_unsure(threshold), messages.c.id.in_(out_of_scope)),
            )
            .order_by(messages.c.id.desc())
            .limit(CANDIDATES)
        ).all()
        corrections = connection.execute(
            select(feedback.c.text, feedback.c.label)
            .where(feedback.c.app == APP)
            .order_by(feedback.c.created_at, feedback.c.id)
        ).all()
    newest = {fold_text(text): label for text, label in corrections}
    distinct = {fold_text(row.text): row for row in reversed(rows)}
    kept = [row for key, row in distinct.items() if newest.get(key, OUT_OF_SCOPE) == OUT_OF_SCOPE]
    groups = group_by_meaning(_embeddings(kept), min_size=min_size)
    texts = [[kept[row].text for row in group.rows] for group in groups]
    names = name_groups(texts, taken=sorted(taken))
    return IntentProposals(
        proposals=[
            IntentProposal(
                name=name,
                size=len(group.rows),
                texts=members[:PROPOSED_TEXTS],
                cohesion=min(group.cohesion, 1.0),
            )
            for name, group, members in zip(names, groups, texts, strict=True)
        ]
    )


def _handed_over_unsure(threshold: float) -> ColumnElement[bool]:
    confidence = func.coalesce(messages.c.confidence, 0.0)
    return and_(
        messages.c.review_state == "waiting",
        messages.c.action == "handoff",
        confidence < threshold,
    )


def _embeddings(rows: Sequence[Row[Any]]) -> NDArray[np.float32]:
    """The stored embeddings [n, d] of messages, zeros where one is missing.

    Versions may differ in their encoder: vectors of another length than the newest message's
    cannot be compared and count as missing. Equal texts share the newest one's vector.
    """
    by_text: dict[str, NDArray[np.float16]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        if row.embedding:
            by_text[fold_text(row.text)] = np.frombuffer(row.embedding, dtype=np.float16)
    newest = max((row for row in rows if row.embedding), key=lambda row: row.id, default=None)
    width = len(newest.embedding) // 2 if newest is not None else 1
    matrix = np.zeros((len(rows), width), dtype=np.float32)
    for place, row in enumerate(rows):
        vector = by_text.get(fold_text(row.text))
        if vector is not None and len(vector) == width:
            matrix[place] = vector
    return matrix


def _item(row: Row[Any]) -> ReviewItem:
    return ReviewItem(
        message_id=row.id,
        text=row.text,
        ranked=[IntentScore.model_validate(score) for score in row.ranked or ()],
        confidence=row.confidence or 0.0,
        action=row.action or "handoff",
        created_at=row.created_at,
    )


def _why_not_waiting(row: Row[Any]) -> str:
    if row.review_state is None:
        return f"message {row.id} is not in the review queue"
    return f"message {row.id} was resolved before ({row.review_state})"
