"""What is kept in order to see drift, on the MetaData of ``tables.py``. Nothing connects here.

served_readings     what models said lately, without the texts: a ring, pruned as it is written
drift_checks        the last comparison of each app with what its version was made of
drift_history       the comparisons before it, and it, for as long as they are kept
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, String, Table

from shared.storage.finance_tables import metadata
from shared.storage.tables import UtcDateTime, json_column

__all__ = ["drift_checks", "drift_history", "metadata", "served_readings"]

served_readings = Table(
    "served_readings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", String(32), nullable=False),
    Column("version", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("label", String(120), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("in_scope_score", Float),
    Column("vector", LargeBinary, nullable=False),
    Index("ix_served_readings_app", "app", "version", "id"),
    sqlite_autoincrement=True,
)
"""One row a reading that was sampled. ``vector`` holds float16 bytes; no text and no person."""

drift_checks = Table(
    "drift_checks",
    metadata,
    Column("app", String(32), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("report", json_column(), nullable=False),
)
"""One row an app: the report of its last comparison."""

drift_history = Table(
    "drift_history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", String(32), nullable=False),
    Column("version", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("report", json_column(), nullable=False),
    Index("ix_drift_history_app", "app", "id"),
    sqlite_autoincrement=True,
)
"""One row a comparison, pruned as it is written."""
