"""What models said lately, without texts, and the last comparison with what they were made of.

This step spells out its own types: later changes to monitoring_tables.py must not change it.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-25
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "served_readings",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("app", sa.String(32), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("label", sa.String(120), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("in_scope_score", sa.Float),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_served_readings"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_served_readings_app", "served_readings", ["app", "version", "id"])
    op.create_table(
        "drift_checks",
        sa.Column("app", sa.String(32), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("report", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("app", name="pk_drift_checks"),
    )


def downgrade() -> None:
    op.drop_table("drift_checks")
    op.drop_table("served_readings")
