"""Vectors in the database, in a schema of their own: only where pgvector can be had.

What stands in it is made again from models, so that going back loses nothing that counts. Where
pgvector is installed later, ``triptych db downgrade --to 0006`` and ``upgrade`` do this again.

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-25
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STEPS = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    "CREATE SCHEMA IF NOT EXISTS triptych_vectors",
    "CREATE TABLE triptych_vectors.indexes ("
    " name varchar(200) PRIMARY KEY, dimensions integer NOT NULL, stored integer NOT NULL,"
    " count integer NOT NULL,"
    " digest varchar(64) NOT NULL, graph boolean NOT NULL, store varchar(40) NOT NULL UNIQUE)",
)


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    offered = sa.text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
    if not connection.scalar(offered):
        return
    try:
        with connection.begin_nested():
            for step in STEPS:
                connection.execute(sa.text(step))
    except DBAPIError as error:  # the user may not create extensions or schemas: FAISS serves
        if getattr(error.orig, "sqlstate", None) != "42501":
            raise


def downgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("DROP SCHEMA IF EXISTS triptych_vectors CASCADE"))
