"""The recommender's tables, on the MetaData of ``tables.py``. Nothing connects here.

catalogue_items, behaviour_events          what a product team brings
experiments, impressions -> clicks         what was shown, and what came of it
forget_receipts, catalogue_state           what was forgotten; how far the refit is

Every row belongs to one tenant. Import ``metadata`` from here where all tables must be on it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from shared.catalogue import EVENT_TYPES, MAX_ID
from shared.storage.monitoring_tables import metadata
from shared.storage.tables import UtcDateTime, json_column, one_of
from shared.tenants import MAX_TENANT

__all__ = [
    "behaviour_events",
    "catalogue_items",
    "catalogue_state",
    "clicks",
    "experiments",
    "forget_receipts",
    "impressions",
    "metadata",
]


def _id_type() -> String:
    """A caller's id. Its order is that of its code points on both databases, as in Python."""
    return String(MAX_ID).with_variant(String(MAX_ID, collation="C"), "postgresql")


def _tenant(**options: Any) -> Column[Any]:
    return Column("tenant", String(MAX_TENANT), nullable=False, **options)


catalogue_items = Table(
    "catalogue_items",
    metadata,
    _tenant(primary_key=True),
    Column("id", _id_type(), primary_key=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("category", String(MAX_ID)),
    Column("price", Float),
    Column("available", Boolean, nullable=False),
    Column("attributes", json_column(), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("change", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_catalogue_items_change", "tenant", "change"),
)
"""One row an item. ``change`` is what the counter "catalogue:<tenant>" stood at when it was
written; a deleted item keeps an empty row, so that those who follow the counter see it go."""

behaviour_events = Table(
    "behaviour_events",
    metadata,
    _tenant(primary_key=True),
    Column("id", _id_type(), primary_key=True),
    Column("user_id", _id_type(), nullable=False),
    Column("item_id", _id_type(), nullable=False),
    Column("type", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("session", _id_type()),
    Column("value", Float),
    Column("weight", Float, nullable=False),
    Column("strength", Float, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Index("ix_behaviour_events_user", "tenant", "user_id", "at"),
    Index("ix_behaviour_events_item", "tenant", "item_id"),
    Index("ix_behaviour_events_session", "tenant", "session"),
    one_of("type", *EVENT_TYPES),
)
"""One row an event. ``strength`` is what it says for the item, its weight included; ``seq`` is
the order of arrival, which decides between events of equal time."""

experiments = Table(
    "experiments",
    metadata,
    _tenant(primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", String(120), nullable=False),
    Column("arms", json_column(), nullable=False),
    Column("salt", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_by", String(120), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("stopped_at", UtcDateTime),
    one_of("state", "running", "stopped"),
)
"""One row an experiment. ``arms`` are {name, share, settings}; ``salt`` makes its assignment."""

impressions = Table(
    "impressions",
    metadata,
    Column("id", String(32), primary_key=True),
    _tenant(),
    Column("experiment_id", String(32)),
    Column("arm", String(60)),
    Column("user_id", _id_type(), nullable=False, index=True),
    Column("request_id", String(32), nullable=False, index=True),
    Column("items", json_column(), nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    Index("ix_impressions_experiment", "tenant", "experiment_id"),
)
"""One row a list that was shown, with the ids of its items in order."""

clicks = Table(
    "clicks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "impression_id",
        String(32),
        ForeignKey("impressions.id", ondelete="CASCADE"),
        nullable=False,
    ),
    _tenant(),
    Column("user_id", _id_type(), nullable=False, index=True),
    Column("item_id", _id_type(), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("impression_id", "item_id"),
    sqlite_autoincrement=True,
)
"""One row an item of a list that was clicked, however often."""

forget_receipts = Table(
    "forget_receipts",
    metadata,
    Column("id", String(32), primary_key=True),
    _tenant(),
    Column("user_hash", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("removed", json_column(), nullable=False),
    Index("ix_forget_receipts_user_hash", "tenant", "user_hash"),
)
"""One row a user forgotten. ``user_hash`` is the SHA-256 of tenant and user: no row names them."""

catalogue_state = Table(
    "catalogue_state",
    metadata,
    _tenant(primary_key=True),
    Column("refit_requested_at", UtcDateTime),
    Column("refit_started_at", UtcDateTime),
    Column("refit_finished_at", UtcDateTime),
    Column("refit_error", Text),
    Column("events_at_refit", Integer, nullable=False, default=0),
    Column("settings", json_column(), nullable=False, default=dict),
)
"""One row a tenant that was refitted or has settings."""
