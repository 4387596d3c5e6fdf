"""Every comparison of an app with what its version was made of, and not the last alone.

This step spells out its own types: later changes to monitoring_tables.py must not change it.

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-25
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_history",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("app", sa.String(32), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("report", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drift_history"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_drift_history_app", "drift_history", ["app", "id"])


def downgrade() -> None:
    op.drop_table("drift_history")
