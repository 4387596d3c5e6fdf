"""API keys: made once, shown once, stored as a digest.

A key reads ``tk_<id>_<secret>``. The id (16 hexadecimal digits) finds the row; the secret (32
random bytes) proves the rest. A secret of 256 random bits needs no slow hash: nobody can try them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import Engine, insert, select, update

from shared.errors import NotFound, SettingsError
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


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. ``secret`` is the whole text that callers send; it cannot be had again."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    secret: str
    tenant: str


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
) -> NewKey:
    """Make a key. Raises SettingsError for no name, no scope or an unknown one, and for a tenant
    that cannot be."""
    check_tenant(tenant)
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
    id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    with engine.begin() as connection:
        connection.execute(
            insert(api_keys).values(
                id=id,
                name=clean,
                digest=digest(secret),
                scopes=list(granted),
                created_at=now,
                tenant=tenant,
            )
        )
        details = {"key": id, "name": clean, "scopes": list(granted), "tenant": tenant}
        record(connection, actor=actor, action="key created", details=details, at=now)
    return NewKey(id, clean, granted, f"tk_{id}_{secret}", tenant)


def list_keys(engine: Engine) -> list[ApiKey]:
    """All keys, oldest first, those revoked included."""
    with reading(engine) as connection:
        rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))
        return [
            ApiKey(
                row.id,
                row.name,
                tuple(row.scopes),
                row.created_at,
                row.last_used_at,
                row.revoked_at,
                row.tenant,
            )
            for row in rows
        ]


def any_key(engine: Engine) -> bool:
    """Whether there is a key that is not revoked."""
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
    for key in list_keys(engine):
        if key.id == id:
            return key
    raise NotFound(f"there is no key {id!r}: see `triptych keys list`", key=id)
