"""``/v1/audit``: the audit log, for keys with the scope ``admin``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Engine

from shared.api.shapes import AuditEntry, AuditLog, Moment
from shared.serving.guards.auth import Principal, require
from shared.storage.audit import read_audit

_Part = Annotated[str | None, Query(max_length=120, pattern="^[^\x00]*$")]


def audit_routes(engine: Engine) -> APIRouter:
    """The route over the log in this database."""
    router = APIRouter(prefix="/v1/audit", tags=["audit"])

    @router.get("", summary="Who changed what, newest first")
    def audit(
        principal: Annotated[Principal, Depends(require("admin"))],
        since: Annotated[Moment | None, Query(description="at this time or later")] = None,
        actor: _Part = None,
        action: _Part = None,
        before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> AuditLog:
        """``actor`` and ``action`` are parts of what stands there. A tenant's key sees its own."""
        lines = read_audit(
            engine,
            since=since,
            actor=actor,
            action=action,
            before=before,
            limit=limit,
            tenant=principal.tenant,
        )
        return AuditLog(
            entries=[
                AuditEntry(
                    id=line.id,
                    at=line.at,
                    actor=line.actor,
                    action=line.action,
                    details=dict(line.details),
                )
                for line in lines
            ],
            before=lines[-1].id if len(lines) == limit else None,
        )

    return router
