"""What waits for people at the support desk, from its tables."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Engine, func, select

from shared.serving.watching.stored_gauges import ReadGauges, StoredGauge
from shared.storage.engine import reading
from shared.storage.tables import conversations, messages

_OWNERS = ("waiting", "person")


def support_gauges(engine: Engine) -> ReadGauges:
    """A reader of the desk's gauges, counts over indexed columns."""
    changed = conversations.c.updated_at

    def read(_now: datetime) -> Iterable[StoredGauge]:
        by_owner = (
            select(conversations.c.owner, func.count(), func.min(changed, type_=changed.type))
            .where(conversations.c.owner.in_(_OWNERS))
            .group_by(conversations.c.owner)
        )
        to_review = select(func.count()).where(messages.c.review_state == "waiting")
        with reading(engine) as connection:
            rows = {owner: (count, since) for owner, count, since in connection.execute(by_owner)}
            review = connection.scalar(to_review)
        counts: dict[tuple[str, ...], float] = {
            (owner,): float(rows.get(owner, (0, None))[0]) for owner in _OWNERS
        }
        return [
            StoredGauge(
                "triptych_support_conversations",
                "Conversations that wait for a person, or that one has",
                ("owner",),
                counts,
            ),
            StoredGauge.single(
                "triptych_support_waiting_timestamp_seconds",
                "When the conversation that has waited longest for a person last changed",
                rows.get("waiting", (0, None))[1],
            ),
            StoredGauge.single(
                "triptych_support_review_messages",
                "Messages that wait for a look of the reviewers",
                float(review or 0),
            ),
        ]

    return read
