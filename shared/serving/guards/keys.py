"""API keys: made once, shown once, stored as a digest.

A key reads ``tk_<id>_<secret>``. The id (16 hexadecimal digits) finds the row; the secret (32
random bytes) proves the rest. A secret of 256 random bits needs no slow hash: nobody can try them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Engine, Row, insert, select, update

from shared.errors import Conflict, NotFound, SettingsError
from shared.serving.guards.rate_limits import check_rate
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.tables import api_keys
from shared.tenants import DEFAULT_TENANT, check_tenant

Scope = Literal["use", "review", "admin"]
"""``use``: ask the models. ``review``: also read chats and correct. ``admin``: everything."""

SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: without its secret."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    tenant: str
    expires_at: datetime | None = None
    rotated_to: str | None = None
    rate_limit: str | None = None

    def valid(self, now: datetime) -> bool:
        """Whether it opens anything at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. ``secret`` is the whole text that callers send; it cannot be had again."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    secret: str
    tenant: str
    expires_at: datetime | None = None
    rate_limit: str | None = None


def digest(secret: str) -> str:
    """What is stored of a secret: its SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key's text; None for a text that is no key."""
    parts = text.strip().split("_", 2)
    if len(parts) != 3 or parts[0] != "tk" or not parts[1] or not parts[2]:
        return None
    return parts[1], parts[2]


def create_key(
    engine: Engine,
    *,
    name: str,
    scopes: Sequence[str],
    actor: str,
    now: datetime,
    tenant: str = DEFAULT_TENANT,
    expires_in: timedelta | None = None,
    rate_limit: str | None = None,
) -> NewKey:
    """Make a key, which ends by itself after ``expires_in``.

    ``rate_limit`` (``600/minute``) stands for the installation's. Raises SettingsError for no
    name, no scope or an unknown one, and for a tenant, a lifetime or a rate that cannot be.
    """
    check_tenant(tenant)
    if expires_in is not None and expires_in <= timedelta(0):
        raise SettingsError("a key lives longer than no time: --expires 90d, for instance")
    if rate_limit is not None:
        check_rate(rate_limit)
    clean = name.strip()
    if not 1 <= len(clean) <= 120 or "\x00" in clean:
        raise SettingsError("a key needs a name of 1 to 120 characters: who or what will use it?")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise SettingsError(
            f"a key's scopes are among {', '.join(SCOPES)}"
            + (f", not {', '.join(unknown)}" if unknown else "")
        )
    granted = tuple(scope for scope in SCOPES if scope in scopes)
    expires_at = None if expires_in is None else now + expires_in
    with engine.begin() as connection:
        made = _insert(connection, clean, granted, tenant, expires_at, rate_limit, now)
        details = {"key": made.id, "name": clean, "scopes": list(granted), "tenant": tenant}
        if expires_at is not None:
            details["expires_at"] = expires_at.isoformat()
        if rate_limit is not None:
            details["rate_limit"] = rate_limit
        record(connection, actor=actor, action="key created", details=details, at=now)
    return made


def rotate_key(
    engine: Engine, id: str, *, overlap: timedelta, actor: str, now: datetime
) -> tuple[ApiKey, NewKey]:
    """The old key, which ends by itself after ``overlap``, and the new one in its place.

    The new one has the name, scopes, tenant, rate and lifetime of the old. Raises NotFound,
    Conflict for a key that is revoked, ended or rotated already, SettingsError for a negative
    overlap.
    """
    if overlap < timedelta(0):
        raise SettingsError("the overlap of two keys is no negative time")
    with engine.begin() as connection:
        this = select(api_keys).where(api_keys.c.id == id).with_for_update()
        row = connection.execute(this).one_or_none()
        if row is None:
            raise NotFound(f"there is no key {id!r}: see `triptych keys list`", key=id)
        old = _as_key(row)
        if old.rotated_to is not None:
            raise Conflict(f"key {id} was rotated already, to {old.rotated_to}", key=id)
        if not old.valid(now):
            raise Conflict(f"key {id} is revoked or has ended: make a new one", key=id)
        lifetime = old.expires_at - old.created_at if old.expires_at else None
        expires_at = now + lifetime if lifetime else None
        made = _insert(
            connection, old.name, old.scopes, old.tenant, expires_at, old.rate_limit, now
        )
        ends = now + overlap if old.expires_at is None else min(now + overlap, old.expires_at)
        connection.execute(
            update(api_keys).where(api_keys.c.id == id).values(expires_at=ends, rotated_to=made.id)
        )
        details = {"key": id, "new_key": made.id, "old_ends_at": ends.isoformat()}
        details["tenant"] = old.tenant
        record(connection, actor=actor, action="key rotated", details=details, at=now)
    return find_key(engine, id), made


def list_keys(engine: Engine) -> list[ApiKey]:
    """All keys, oldest first, those revoked included."""
    with reading(engine) as connection:
        rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))
        return [_as_key(row) for row in rows]


def find_key(engine: Engine, id: str) -> ApiKey:
    """The key of that id. Raises NotFound."""
    with reading(engine) as connection:
        row = connection.execute(select(api_keys).where(api_keys.c.id == id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no key {id!r}: see `triptych keys list`", key=id)
    return _as_key(row)


def any_key(engine: Engine) -> bool:
    """Whether there is a key that is not revoked.

    One that has ended by itself counts: a server must not open because nobody renewed a key.
    """
    with reading(engine) as connection:
        valid = select(api_keys.c.id).where(api_keys.c.revoked_at.is_(None)).limit(1)
        return connection.execute(valid).first() is not None


def revoke_key(engine: Engine, id: str, *, actor: str, now: datetime) -> ApiKey:
    """End a key at once. One that is revoked already stays as it was.

    Raises NotFound when there is none of that id.
    """
    with engine.begin() as connection:
        changed = connection.execute(
            update(api_keys)
            .where(api_keys.c.id == id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=now)
        ).rowcount
        if changed:
            record(connection, actor=actor, action="key revoked", details={"key": id}, at=now)
    return find_key(engine, id)


def _insert(
    connection: Connection,
    name: str,
    scopes: tuple[Scope, ...],
    tenant: str,
    expires_at: datetime | None,
    rate_limit: str | None,
    now: datetime,
) -> NewKey:
    id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    connection.execute(
        insert(api_keys).values(
            id=id,
            name=name,
            digest=digest(secret),
            scopes=list(scopes),
            created_at=now,
            tenant=tenant,
            expires_at=expires_at,
            rate_limit=rate_limit,
        )
    )
    return NewKey(id, name, scopes, f"tk_{id}_{secret}", tenant, expires_at, rate_limit)


def _as_key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        tuple(row.scopes),
        row.created_at,
        row.last_used_at,
        row.revoked_at,
        row.tenant,
        row.expires_at,
        row.rotated_to,
        row.rate_limit,
    )
