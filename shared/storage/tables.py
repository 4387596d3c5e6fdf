"""The tables, as SQLAlchemy Core objects on one MetaData. Nothing connects here.

Writers mask personal data before a text reaches a table. Migrations under ``migrations/`` build
the same schema; a test compares the two on SQLite and PostgreSQL. The finance monitor's tables
stand in ``finance_tables.py``, the recommender's in ``recommend_tables.py``, on the same MetaData.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in, aware UTC out, on both databases. A naive time is refused.

    SQLite keeps no time zone: there the UTC time is stored bare, so that text order is time order.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC for the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware UTC from the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def json_column() -> JSON:
    """JSON whose None is SQL NULL; PostgreSQL keeps it in its binary form."""
    return JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def one_of(column: str, *values: str) -> CheckConstraint:
    """The check that a column holds one of the values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


conversations = Table(
    "conversations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(16), nullable=False, index=True),
    Column("person", String(120)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False, index=True),
    Column("person_active_at", UtcDateTime),
    Column("handover", json_column()),
    Column("pending", json_column()),
    one_of("owner", "bot", "waiting", "person", "closed"),
)
"""One row a chat. ``owner`` says who speaks next; ``pending`` is an open clarification."""

messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "conversation_id",
        String(32),
        ForeignKey("conversations.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("author", String(16), nullable=False),
    Column("name", String(120)),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("action", String(16)),
    Column("intent", String(120)),
    Column("confidence", Float),
    Column("ranked", json_column()),
    Column("in_scope_score", Float),
    Column("version", String(64)),
    Column("embedding", LargeBinary),
    Column("review_state", String(16), index=True),
    one_of("author", "customer", "bot", "person"),
    one_of("action", "answer", "clarify", "handoff"),
    one_of("review_state", "waiting", "done", "skipped"),
    sqlite_autoincrement=True,
)
"""One row a turn. ``embedding`` holds float16 bytes; ``review_state`` null is not for review."""

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", String(32), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("label", String(120), nullable=False),
    Column("author", String(120), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("predicted", String(120)),
    Column("version", String(64)),
    Column("note", Text, nullable=False, default=""),
    Column("message_id", Integer),
    sqlite_autoincrement=True,
)
"""One row a correction; the feedback connector makes Examples of them."""

intent_answers = Table(
    "intent_answers",
    metadata,
    Column("app", String(32), primary_key=True),
    Column("name", String(120), primary_key=True),
    Column("answer", Text, nullable=False),
    Column("author", String(120), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""The answer of an intent, where a person wrote one: it wins over the shipped one."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(120), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", json_column(), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("tenant", String(20), nullable=False, server_default="default"),
    Column("expires_at", UtcDateTime),
    Column("rotated_to", String(16)),
    Column("rate_limit", String(40)),
)
"""One row an API key. ``digest`` is the SHA-256 of the secret, which is stored nowhere; ``tenant``
is the product team whose catalogue it opens; ``rotated_to`` is the id of the key that follows it;
``rate_limit`` (``600/minute``) stands for the installation's."""

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("actor", String(120), nullable=False),
    Column("action", String(64), nullable=False),
    Column("details", json_column(), nullable=False),
    sqlite_autoincrement=True,
)
"""Who did what of consequence: keys made and revoked, versions promoted."""
