"""Keys that end by themselves, that one follows upon another, and that have a rate of their own.

This step spells out its own types: later changes to tables.py must not change it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.add_column("api_keys", sa.Column("rotated_to", sa.String(16)))
    op.add_column("api_keys", sa.Column("rate_limit", sa.String(40)))


def downgrade() -> None:
    for column in ("rate_limit", "rotated_to", "expires_at"):
        op.drop_column("api_keys", column)
