"""The first tables: conversations, messages, feedback, answers, keys, audit log.

This step spells out its own types: later changes to tables.py must not change it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _json() -> sa.JSON:
    return sa.JSON().with_variant(JSONB(), "postgresql")


def _time() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(16), nullable=False),
        sa.Column("person", sa.String(120)),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("updated_at", _time(), nullable=False),
        sa.Column("person_active_at", _time()),
        sa.Column("handover", _json()),
        sa.Column("pending", _json()),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sa.CheckConstraint(
            "owner IN ('bot', 'waiting', 'person', 'closed')", name=op.f("ck_conversations_owner")
        ),
    )
    op.create_index("ix_conversations_owner", "conversations", ["owner"])
    op.create_index("ix_conversations_updated_at", "conversations", ["updated_at"])
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("conversation_id", sa.String(32), nullable=False),
        sa.Column("author", sa.String(16), nullable=False),
        sa.Column("name", sa.String(120)),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("action", sa.String(16)),
        sa.Column("intent", sa.String(120)),
        sa.Column("confidence", sa.Float),
        sa.Column("ranked", _json()),
        sa.Column("in_scope_score", sa.Float),
        sa.Column("version", sa.String(64)),
        sa.Column("embedding", sa.LargeBinary),
        sa.Column("review_state", sa.String(16)),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_messages_conversation_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "author IN ('customer', 'bot', 'person')", name=op.f("ck_messages_author")
        ),
        sa.CheckConstraint(
            "action IN ('answer', 'clarify', 'handoff')", name=op.f("ck_messages_action")
        ),
        sa.CheckConstraint(
            "review_state IN ('waiting', 'done', 'skipped')", name=op.f("ck_messages_review_state")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_messages_conversation_id", "messages", ["conversation_id"])
    op.create_index("ix_messages_created_at", "messages", ["created_at"])
    op.create_index("ix_messages_review_state", "messages", ["review_state"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("app", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("label", sa.String(120), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("predicted", sa.String(120)),
        sa.Column("version", sa.String(64)),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("message_id", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feedback_app", "feedback", ["app"])
    op.create_table(
        "intent_answers",
        sa.Column("app", sa.String(32), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("app", "name", name="pk_intent_answers"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("scopes", _json(), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("last_used_at", _time()),
        sa.Column("revoked_at", _time()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", _time(), nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("details", _json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"])


def downgrade() -> None:
    for table in (
        "audit_log",
        "api_keys",
        "intent_answers",
        "feedback",
        "messages",
        "conversations",
    ):
        op.drop_table(table)
