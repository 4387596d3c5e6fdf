"""Alerts in the database: pages of them, and what people do with them.

open -> acknowledged | snoozed | closed;  a snoozed alert is open again once its time is over
"""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, or_, select, update

from shared.api.finance_alerts import Channel
from shared.errors import Conflict, DataError, NotFound
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.finance_tables import alerts, deliveries

AlertState = Literal["open", "acknowledged", "snoozed", "closed"]
LONGEST_NOTE = 2_000


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """How far an alert got on its way to one target; ``next_attempt_at`` None: not tried again."""

    event_id: str
    channel: Channel
    address: str
    attempts: int
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that fired: the rule as it was, the numbers, the stories, and what became of it."""

    id: str
    rule_id: str
    rule: Mapping[str, Any]
    subject: str
    fired_at: datetime
    numbers: Mapping[str, Any]
    story_ids: tuple[str, ...]
    state: AlertState
    snoozed_until: datetime | None
    changed_by: str | None
    changed_at: datetime | None
    note: str
    deliveries: tuple[DeliveryState, ...]


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Alerts, newest first; ``next_cursor`` None on the last page."""

    alerts: tuple[Alert, ...]
    next_cursor: str | None


class AlertStore:
    """Read alerts and change their state. ``now`` decides whether a snooze is over."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self,
        *,
        now: datetime,
        state: AlertState | None = None,
        cursor: str | None = None,
        limit: int = 50,
        subject: str | None = None,
    ) -> AlertPage:
        """A page of alerts (of one state, of one subject). DataError: a cursor of another kind."""
        conditions: list[ColumnElement[bool]] = []
        if state is not None:
            conditions.append(_in_state(state, now))
        if subject is not None:
            conditions.append(alerts.c.subject == subject)
        if cursor is not None:
            fired_at, alert_id = _read_cursor(cursor)
            at, same = alerts.c.fired_at, alerts.c.fired_at == fired_at
            conditions.append(or_(at < fired_at, and_(same, alerts.c.id < alert_id)))
        query = (
            select(alerts)
            .where(*conditions)
            .order_by(alerts.c.fired_at.desc(), alerts.c.id.desc())
            .limit(limit + 1)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            found = _alerts(connection, rows[:limit], now)
        return AlertPage(found, _cursor(rows[limit - 1]) if len(rows) > limit else None)

    def get(self, alert_id: str, *, now: datetime) -> Alert:
        """One alert. NotFound where there is none of that id."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(alerts).where(alerts.c.id == alert_id)).all()
            found = _alerts(connection, rows, now)
        if not found:
            raise NotFound(f"there is no alert {alert_id}", alert_id=alert_id)
        return found[0]

    def acknowledge(self, alert_id: str, *, author: str, now: datetime, note: str = "") -> Alert:
        """Say that a person has it. Conflict where it was acknowledged or closed before."""
        taken = or_(_in_state("open", now), _in_state("snoozed", now))
        return self._change(alert_id, "acknowledged", taken, author, now, note)

    def snooze(
        self, alert_id: str, until: datetime, *, author: str, now: datetime, note: str = ""
    ) -> Alert:
        """Put it aside until then. DataError: a time that has passed; Conflict: it is closed."""
        if until <= now:
            raise DataError(f"{until.isoformat()} has passed: snooze until a later time")
        taken = alerts.c.state != "closed"
        return self._change(alert_id, "snoozed", taken, author, now, note, until)

    def close(self, alert_id: str, *, author: str, now: datetime, note: str = "") -> Alert:
        """Be done with it, for good. Conflict where it was closed before."""
        return self._change(alert_id, "closed", alerts.c.state != "closed", author, now, note)

    def _change(
        self,
        alert_id: str,
        state: AlertState,
        allowed: ColumnElement[bool],
        author: str,
        now: datetime,
        note: str,
        until: datetime | None = None,
    ) -> Alert:
        if len(note) > LONGEST_NOTE:
            raise DataError(f"a note has at most {LONGEST_NOTE:,} characters, not {len(note):,}")
        values: dict[str, Any] = {
            "state": state,
            "snoozed_until": until,
            "changed_by": author[:120],
            "changed_at": now,
        }
        if note:
            values["note"] = note
        this = alerts.c.id == alert_id
        with self._engine.begin() as connection:
            # The update comes first: of two people at once, one changes the row.
            done = connection.execute(update(alerts).where(this, allowed).values(values)).rowcount
            if done:
                details = {"alert": alert_id, "state": state}
                record(connection, actor=author, action="alert_changed", details=details, at=now)
        alert = self.get(alert_id, now=now)
        if not done:
            raise Conflict(
                f"alert {alert_id} was {alert.state} before, by {alert.changed_by}",
                alert_id=alert_id,
                state=alert.state,
            )
        return alert


def _in_state(state: AlertState, now: datetime) -> ColumnElement[bool]:
    """Alerts that stand so at ``now``."""
    over = and_(alerts.c.state == "snoozed", alerts.c.snoozed_until <= now)
    if state == "open":
        return or_(alerts.c.state == "open", over)
    if state == "snoozed":
        return and_(alerts.c.state == "snoozed", alerts.c.snoozed_until > now)
    return alerts.c.state == state


def _alerts(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> tuple[Alert, ...]:
    ways: defaultdict[str, list[DeliveryState]] = defaultdict(list)
    sent = deliveries.c.alert_id.in_([row.id for row in rows])
    for one in connection.execute(select(deliveries).where(sent).order_by(deliveries.c.id)):
        ways[one.alert_id].append(
            DeliveryState(
                one.id,
                one.channel,
                one.address,
                one.attempts,
                one.next_attempt_at,
                one.delivered_at,
                one.last_error,
            )
        )
    return tuple(_alert(row, tuple(ways[row.id]), now) for row in rows)


def _alert(row: Row[Any], ways: tuple[DeliveryState, ...], now: datetime) -> Alert:
    over = row.state == "snoozed" and row.snoozed_until is not None and row.snoozed_until <= now
    parts = dict(row._mapping) | {"story_ids": tuple(row.story_ids)}
    if over:
        parts |= {"state": "open", "snoozed_until": None}
    return Alert(**parts, deliveries=ways)


def _cursor(row: Row[Any]) -> str:
    return base64.urlsafe_b64encode(f"{row.fired_at.isoformat()} {row.id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
        fired_at, _, alert_id = text.partition(" ")
        moment = datetime.fromisoformat(fired_at)
    except (ValueError, binascii.Error) as error:
        raise DataError("the cursor is none that a page of alerts gave") from error
    if moment.tzinfo is None or not alert_id:
        raise DataError("the cursor is none that a page of alerts gave")
    return moment, alert_id
