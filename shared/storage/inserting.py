"""INSERT with ON CONFLICT, which both databases have and SQLAlchemy's own ``insert`` has not."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(database: Connection | Engine, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The statement as the dialect of ``database`` has it, ``on_conflict_do_...`` included."""
    if database.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
