"""When a story was scored again, and which stories event rules pass over for it.

This step spells out its own types: later changes to finance_tables.py must not change it.

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-25
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stories", sa.Column("rescored_at", sa.DateTime(timezone=True)))
    kind = sa.JSON().with_variant(JSONB(), "postgresql")
    op.add_column("alert_rule_states", sa.Column("passed_over", kind))


def downgrade() -> None:
    op.drop_column("alert_rule_states", "passed_over")
    op.drop_column("stories", "rescored_at")
