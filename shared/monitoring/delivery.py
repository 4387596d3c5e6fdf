"""Deliveries of alerts: each is claimed, sent, and marked, so that a kill loses and doubles none.

A claim is a row that moves its own next attempt into the future, in a transaction of its own. A
process that dies after it leaves the row to be claimed again, under the same event id: a receiver
that got the first attempt knows the second by it. (A receiver can be told exactly once only with
its own help: the sender cannot know whether an answer was lost or the request.)
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Engine, Row, and_, or_, select, update

from shared.storage.engine import reading
from shared.storage.finance_tables import alert_targets, deliveries

logger = logging.getLogger(__name__)

CLAIM = timedelta(minutes=5)
"""How long a claimed delivery is left to its claimer; longer than any send may take."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
LONGEST_RETRY_AFTER = timedelta(days=1)
MOST_ATTEMPTS = 48
"""Attempts before a delivery is given up: over a day and a half."""
IMPLAUSIBLE = timedelta(hours=26)
"""A next attempt further ahead than any wait can be: the clock was set back. It is due."""
LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One attempt: what goes where. ``event_id`` stays the same over all attempts."""

    event_id: str
    address: str
    secret: str | None
    payload: Mapping[str, Any]
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver took it."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """It did not arrive. ``retry_after`` in seconds is the receiver's wish; ``final``: it will
    never arrive, and is not tried again."""

    reason: str
    retry_after: float | None = None
    final: bool = False


class Sender(Protocol):
    """One channel, such as webhooks or mail."""

    def send(self, message: Outgoing) -> Sent | NotSent:
        """Try once. What the receiver or the network does is a value, never an exception."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """What one round did: ``failed`` are tried again, ``given_up`` are not."""

    delivered: int = 0
    failed: int = 0
    given_up: int = 0


def event_id(alert_id: str, target_id: str) -> str:
    """The id of the event that a target is told of (32 hexadecimal digits)."""
    return hashlib.blake2b(f"{alert_id} {target_id}".encode(), digest_size=16).hexdigest()


def deliver_due(
    engine: Engine,
    now: datetime,
    senders: Mapping[str, Sender],
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> DeliveryCounts:
    """Send what is due at ``now``, one after another; safe in several processes at once.

    ``senders`` by channel; deliveries of other channels wait. After a failure the other
    deliveries to the same address wait for the next round. ``monotonic`` tells how long the round
    has lasted, so that claims are counted from the true time.
    """
    begin = monotonic()
    outcomes = {"delivered": 0, "failed": 0, "given_up": 0}
    unreachable: set[tuple[str, str]] = set()
    for row in _due(engine, now, senders):
        way = (row.channel, row.address)
        moment = now + timedelta(seconds=monotonic() - begin)
        if way in unreachable or not _claim(engine, row, moment):
            continue
        outcome = _attempt(engine, row, senders[row.channel], moment)
        if isinstance(outcome, NotSent):
            unreachable.add(way)
        outcomes[_settle(engine, row, outcome, now + timedelta(seconds=monotonic() - begin))] += 1
    return DeliveryCounts(**outcomes)


def next_wait(attempts: int, retry_after: float | None) -> timedelta:
    """How long to wait after so many attempts: doubling from half a minute to an hour.

    The receiver's wish counts where it is longer, up to a day.
    """
    doublings = min(max(attempts, 1) - 1, 16)
    doubled = FIRST_WAIT * (1 << doublings)
    wished = timedelta(seconds=min(retry_after or 0.0, LONGEST_RETRY_AFTER.total_seconds()))
    return max(min(doubled, LONGEST_WAIT), wished)


def _is_due(now: datetime) -> ColumnElement[bool]:
    after = deliveries.c.next_attempt_at
    return and_(deliveries.c.delivered_at.is_(None), or_(after <= now, after > now + IMPLAUSIBLE))


def _due(engine: Engine, now: datetime, senders: Mapping[str, Sender]) -> list[Row[Any]]:
    names = ("id", "target_id", "channel", "address", "attempts")
    query = (
        select(*(deliveries.c[name] for name in names))
        .where(_is_due(now), deliveries.c.channel.in_(sorted(senders)))
        .order_by(deliveries.c.next_attempt_at, deliveries.c.id)
    )
    with reading(engine) as connection:
        return list(connection.execute(query))


def _claim(engine: Engine, row: Row[Any], now: datetime) -> bool:
    """Whether this process may send it now; no other may for the time of a claim."""
    unchanged = deliveries.c.attempts == row.attempts
    claim = (
        update(deliveries)
        .where(deliveries.c.id == row.id, unchanged, _is_due(now))
        .values(attempts=row.attempts + 1, next_attempt_at=now + CLAIM)
    )
    with engine.begin() as connection:
        return connection.execute(claim).rowcount == 1


def _attempt(engine: Engine, row: Row[Any], sender: Sender, now: datetime) -> Sent | NotSent:
    this = select(deliveries.c.payload).where(deliveries.c.id == row.id)
    to = select(alert_targets).where(alert_targets.c.id == row.target_id)
    with reading(engine) as connection:
        payload = connection.execute(this).scalar_one()
        target = connection.execute(to).one_or_none()
    if target is None or not target.enabled:
        return NotSent("its target was removed or switched off", final=True)
    try:
        return sender.send(Outgoing(row.id, row.address, target.secret, payload, now))
    except Exception as error:  # a fault of ours: the other deliveries go on
        logger.exception("delivery %s could not be sent", row.id)
        return NotSent(f"{type(error).__name__}: {error}")


def _settle(engine: Engine, row: Row[Any], outcome: Sent | NotSent, now: datetime) -> str:
    """Mark what became of an attempt; says which count it belongs to."""
    attempts = row.attempts + 1
    values: dict[str, Any]
    if isinstance(outcome, Sent):
        result = "delivered"
        values = {"delivered_at": now, "next_attempt_at": None, "last_error": None}
    else:
        given_up = outcome.final or attempts >= MOST_ATTEMPTS
        result = "given_up" if given_up else "failed"
        later = None if given_up else now + next_wait(attempts, outcome.retry_after)
        values = {"next_attempt_at": later, "last_error": outcome.reason[:LONGEST_ERROR]}
        logger.warning("delivery %s, attempt %d: %s", row.id, attempts, outcome.reason)
    this = [deliveries.c.id == row.id, deliveries.c.delivered_at.is_(None)]
    if isinstance(outcome, NotSent):  # another process may have claimed it after too long a send
        this.append(deliveries.c.attempts == attempts)
    with engine.begin() as connection:
        connection.execute(update(deliveries).where(*this).values(values))
    return result
