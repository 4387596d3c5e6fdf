"""Promotions and roll-backs in the audit log, whichever way they are made.

The registry that can promote is opened here, with a journal: it opens a transaction of the
database before a promotion, writes the line, and commits when the history was written. What
cannot be recorded does not come into use.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from models.promotion_history import Promotion
from models.registry import ModelRegistry, Note
from shared.command_line import actor_name, database
from shared.settings import Settings
from shared.storage.audit import record, transaction_at_hand
from shared.tenants import DEFAULT_TENANT, tenant_of


def audited_registry(settings: Settings, engine: Engine | None = None) -> ModelRegistry:
    """The registry of an installation, whose promotions stand in the audit log.

    A server hands its ``engine``; the request's key stands in the line by itself. Without one the
    database is opened when something is promoted, and the line says who sat at the command line.
    """
    by = actor_name() if engine is None else None

    @contextmanager
    def journal() -> Iterator[Note]:
        with _transaction(settings, engine) as connection:
            yield lambda promotion: _record(connection, promotion, by)

    return ModelRegistry(settings.models, journal=journal)


@contextmanager
def _transaction(settings: Settings, engine: Engine | None) -> Iterator[Connection]:
    if (connection := transaction_at_hand()) is not None:
        yield connection
    elif engine is not None:
        with engine.begin() as connection:
            yield connection
    else:
        with database(settings) as opened, opened.begin() as connection:
            yield connection


def _record(connection: Connection, promotion: Promotion, by: str | None) -> None:
    details = {
        "app": promotion.app,
        "version": promotion.version,
        "previous": promotion.previous,
        "forced": promotion.forced,
        "reason": promotion.reason,
    }
    tenant = tenant_of(promotion.app)
    if tenant != DEFAULT_TENANT:
        details["tenant"] = tenant
    if by is not None:
        details["by"] = by
    record(
        connection,
        actor=promotion.author,
        action=f"model {promotion.kind}",
        details=details,
        at=promotion.at,
    )
