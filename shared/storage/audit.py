"""The audit log: who did what of consequence, written in the transaction that does it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from shared.storage.tables import audit_log


def record(
    connection: Connection, *, actor: str, action: str, details: Mapping[str, Any], at: datetime
) -> None:
    """Add one line. ``actor`` is cut to 120 characters, ``action`` to 64."""
    row = {"actor": actor[:120], "action": action[:64], "details": dict(details), "at": at}
    connection.execute(insert(audit_log).values(row))
