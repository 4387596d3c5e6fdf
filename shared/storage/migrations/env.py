"""Runs the migrations on the connection that ``open_database`` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from shared.storage.recommend_tables import metadata

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    raise RuntimeError("migrations run through shared.storage.engine.open_database")

# SQLite cannot alter most of a table in place: batch mode copies it instead.
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
