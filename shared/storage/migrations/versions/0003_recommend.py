"""The recommender: items, events, experiments, impressions, receipts; keys belong to a tenant.

This step spells out its own types: later changes to recommend_tables.py must not change it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _json() -> sa.JSON:
    return sa.JSON().with_variant(JSONB(), "postgresql")


def _time() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _id() -> sa.String:
    return sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "catalogue_items",
        sa.Column("tenant", sa.String(20), nullable=False),
        sa.Column("id", _id(), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("category", sa.String(120)),
        sa.Column("price", sa.Float),
        sa.Column("available", sa.Boolean, nullable=False),
        sa.Column("attributes", _json(), nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("change", sa.Integer, nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("updated_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name="pk_catalogue_items"),
    )
    op.create_index("ix_catalogue_items_change", "catalogue_items", ["tenant", "change"])
    op.create_table(
        "behaviour_events",
        sa.Column("tenant", sa.String(20), nullable=False),
        sa.Column("id", _id(), nullable=False),
        sa.Column("user_id", _id(), nullable=False),
        sa.Column("item_id", _id(), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("at", _time(), nullable=False),
        sa.Column("session", _id()),
        sa.Column("value", sa.Float),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("strength", sa.Float, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("received_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name="pk_behaviour_events"),
        sa.CheckConstraint(
            "type IN ('view', 'click', 'cart', 'purchase', 'rating', 'dislike')",
            name=op.f("ck_behaviour_events_type"),
        ),
    )
    op.create_index("ix_behaviour_events_user", "behaviour_events", ["tenant", "user_id", "at"])
    op.create_index("ix_behaviour_events_item", "behaviour_events", ["tenant", "item_id"])
    op.create_index("ix_behaviour_events_session", "behaviour_events", ["tenant", "session"])
    op.create_table(
        "experiments",
        sa.Column("tenant", sa.String(20), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("arms", _json(), nullable=False),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("stopped_at", _time()),
        sa.PrimaryKeyConstraint("tenant", "id", name="pk_experiments"),
        sa.CheckConstraint("state IN ('running', 'stopped')", name=op.f("ck_experiments_state")),
    )
    op.create_table(
        "impressions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(20), nullable=False),
        sa.Column("experiment_id", sa.String(32)),
        sa.Column("arm", sa.String(60)),
        sa.Column("user_id", _id(), nullable=False),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("items", _json(), nullable=False),
        sa.Column("at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_impressions"),
    )
    op.create_index("ix_impressions_at", "impressions", ["at"])
    op.create_index("ix_impressions_experiment", "impressions", ["tenant", "experiment_id"])
    op.create_index("ix_impressions_request_id", "impressions", ["request_id"])
    op.create_index("ix_impressions_user_id", "impressions", ["user_id"])
    op.create_table(
        "clicks",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("impression_id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(20), nullable=False),
        sa.Column("user_id", _id(), nullable=False),
        sa.Column("item_id", _id(), nullable=False),
        sa.Column("at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clicks"),
        sa.ForeignKeyConstraint(
            ["impression_id"],
            ["impressions.id"],
            name="fk_clicks_impression_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("impression_id", "item_id", name="uq_clicks_impression_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_clicks_user_id", "clicks", ["user_id"])
    op.create_table(
        "forget_receipts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(20), nullable=False),
        sa.Column("user_hash", sa.String(64), nullable=False),
        sa.Column("at", _time(), nullable=False),
        sa.Column("removed", _json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_forget_receipts"),
    )
    op.create_index("ix_forget_receipts_user_hash", "forget_receipts", ["tenant", "user_hash"])
    op.create_table(
        "catalogue_state",
        sa.Column("tenant", sa.String(20), nullable=False),
        sa.Column("refit_requested_at", _time()),
        sa.Column("refit_started_at", _time()),
        sa.Column("refit_finished_at", _time()),
        sa.Column("refit_error", sa.Text),
        sa.Column("events_at_refit", sa.Integer, nullable=False),
        sa.Column("settings", _json(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_catalogue_state"),
    )
    op.add_column(
        "api_keys",
        sa.Column("tenant", sa.String(20), nullable=False, server_default="default"),
    )


def downgrade() -> None:
    op.drop_column("api_keys", "tenant")
    for table in (
        "catalogue_state",
        "forget_receipts",
        "clicks",
        "impressions",
        "experiments",
        "behaviour_events",
        "catalogue_items",
    ):
        op.drop_table(table)
