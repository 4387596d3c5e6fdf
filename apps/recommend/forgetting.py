"""Forgetting a user: everything that names them leaves the database in one transaction.

Histories are read from the database for every list, so that the next request already knows nothing
of them; a bundle holds items only, and the next one is fitted without their events.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, insert, or_, select, text

from shared.storage.audit import record
from shared.storage.engine import BUSY_SECONDS
from shared.storage.recommend_tables import (
    behaviour_events,
    clicks,
    forget_receipts,
    impressions,
)
from shared.tenants import check_tenant

HELD_UP = timedelta(seconds=BUSY_SECONDS + 5)
"""How long after its time a receipt may be written at most: SQLite's writers wait that long."""


@dataclass(frozen=True, slots=True)
class ForgetReceipt:
    """What was removed, in rows by kind: "events", "impressions" and "clicks".

    ``user_hash`` proves to whoever knows the user's id that it was they, and names them to nobody
    else.
    """

    id: str
    tenant: str
    user_hash: str
    at: datetime
    removed: Mapping[str, int]


def user_hash(tenant: str, user: str) -> str:
    """SHA-256 of ``tenant:user``, 64 hexadecimal digits. No tenant's name holds a colon."""
    return hashlib.sha256(f"{tenant}:{user}".encode()).hexdigest()


def forget(
    engine: Engine, tenant: str, user: str, now: datetime, *, actor: str = "the recommender"
) -> ForgetReceipt:
    """Remove a user's events, impressions and clicks, and keep a receipt without their name.

    A user who is not known gets a receipt too, of nothing removed. SQLite overwrites the rows in
    its file. Raises SettingsError for a name that no tenant can have.
    """
    who = user_hash(check_tenant(tenant), user)
    theirs = impressions.c.tenant == tenant, impressions.c.user_id == user
    shown_to_them = select(impressions.c.id).where(*theirs)
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        _lock(connection, who, shared=False)
        clicked = connection.execute(
            delete(clicks).where(
                clicks.c.tenant == tenant,
                or_(clicks.c.user_id == user, clicks.c.impression_id.in_(shown_to_them)),
            )
        )
        shown = connection.execute(delete(impressions).where(*theirs))
        done = connection.execute(
            delete(behaviour_events).where(
                behaviour_events.c.tenant == tenant, behaviour_events.c.user_id == user
            )
        )
        removed = {
            "events": done.rowcount,
            "impressions": shown.rowcount,
            "clicks": clicked.rowcount,
        }
        receipt = ForgetReceipt(uuid.uuid4().hex, tenant, who, now, removed)
        connection.execute(
            insert(forget_receipts).values(
                id=receipt.id, tenant=tenant, user_hash=who, at=now, removed=removed
            )
        )
        details = {"receipt": receipt.id, "tenant": tenant, "user_hash": who, "removed": removed}
        record(connection, actor=actor, action="user forgotten", details=details, at=now)
    return receipt


def forgotten_since(connection: Connection, tenant: str, user: str, since: datetime) -> bool:
    """Whether a user was forgotten at ``since``, later or just before: what a request that began
    then knows of them must not be written any more.

    Just before, because a receipt has the time when forgetting was asked for, and a writer may
    have held it up: what a request read after that time was not yet removed. Asked in the
    transaction that would write; forgetting waits until that has ended.
    """
    who = user_hash(tenant, user)
    _lock(connection, who, shared=True)
    receipts = forget_receipts.c
    found = select(receipts.id).where(
        receipts.tenant == tenant, receipts.user_hash == who, receipts.at >= since - HELD_UP
    )
    return connection.execute(found.limit(1)).first() is not None


def _lock(connection: Connection, who: str, *, shared: bool) -> None:
    """Of forgetting a user and writing about them one waits. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(bytes.fromhex(who[:16]), signed=True)
        name = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        connection.execute(text(f"SELECT {name}(:key)"), {"key": key})
