"""The audit log: who did what of consequence, written in the transaction that does it.

``actor`` is the name that was given: that of the person at a page or at the command line. Over
HTTP a line holds as ``by_key`` and ``by_key_name`` the key that the request came with, too, which
nobody can give for another: the request opens a note (``acting``), the check of the key fills it
(``act_as``), and ``record`` reads it, in whichever thread the work is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from shared.errors import DataError
from shared.serving.guards.secret_masking import mask_secrets
from shared.storage.engine import reading
from shared.storage.tables import audit_log
from shared.tenants import DEFAULT_TENANT

_ACTING: ContextVar[dict[str, str] | None] = ContextVar("triptych_acting_key", default=None)
_WITHIN: ContextVar[Connection | None] = ContextVar("triptych_audit_connection", default=None)

MOST_LINES = 10_000


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line: who did what, when, and the ids that it concerns."""

    id: int
    at: datetime
    actor: str
    action: str
    details: Mapping[str, Any]


@contextmanager
def acting() -> Iterator[None]:
    """One request: what is recorded within it bears the key that ``act_as`` names."""
    token = _ACTING.set({})
    try:
        yield
    finally:
        _ACTING.reset(token)


def act_as(key_id: str | None, name: str) -> None:
    """The request at hand came with this key. Outside of a request it does nothing."""
    note = _ACTING.get()
    if note is not None and key_id is not None:
        note.update(by_key=key_id, by_key_name=name)


@contextmanager
def recorded_within(connection: Connection) -> Iterator[None]:
    """What else is recorded in here belongs to this transaction, and fails with it."""
    token = _WITHIN.set(connection)
    try:
        yield
    finally:
        _WITHIN.reset(token)


def transaction_at_hand() -> Connection | None:
    """What ``recorded_within`` names here."""
    return _WITHIN.get()


def record(
    connection: Connection, *, actor: str, action: str, details: Mapping[str, Any], at: datetime
) -> None:
    """Add one line. ``actor`` is cut to 120 characters, ``action`` to 64.

    Secrets in texts of ``details`` (a token in the address of a feed, for instance) are masked.
    """
    told = {
        name: mask_secrets(value) if isinstance(value, str) else value
        for name, value in (*details.items(), *(_ACTING.get() or {}).items())
    }
    row = {"actor": actor[:120], "action": action[:64], "details": told, "at": at}
    connection.execute(insert(audit_log).values(row))


def read_audit(
    engine: Engine,
    *,
    since: datetime | None = None,
    actor: str | None = None,
    action: str | None = None,
    tenant: str = DEFAULT_TENANT,
    before: int | None = None,
    limit: int = 100,
) -> list[AuditLine]:
    """Lines of the log, the newest first.

    ``actor`` and ``action`` are parts of what stands there, whatever their case; ``actor`` is
    looked for in the name of the key, too. ``before`` is the id of a line: those older than it. A
    ``tenant`` other than the default one, whose keys are the operator's, sees lines about itself.
    Raises DataError for a limit outside of 1 to ``MOST_LINES``.
    """
    if not 1 <= limit <= MOST_LINES:
        raise DataError(f"between 1 and {MOST_LINES:,} lines are read at once", limit=limit)
    query = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    if since is not None:
        query = query.where(audit_log.c.at >= since)
    if actor:
        key_name = audit_log.c.details["by_key_name"].as_string()
        query = query.where(
            audit_log.c.actor.icontains(actor, autoescape=True)
            | key_name.icontains(actor, autoescape=True)
        )
    if action:
        query = query.where(audit_log.c.action.icontains(action, autoescape=True))
    if tenant != DEFAULT_TENANT:
        query = query.where(audit_log.c.details["tenant"].as_string() == tenant)
    if before is not None:
        query = query.where(audit_log.c.id < before)
    with reading(engine) as connection:
        return [
            AuditLine(row.id, row.at, row.actor, row.action, row.details)
            for row in connection.execute(query)
        ]
