"""Rows in every table, made from the columns alone: no table that comes later is left out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    insert,
)

from shared.storage.rows import Row, stored_rows
from shared.storage.schema import stored_tables
from shared.storage.tables import UtcDateTime

NOW = datetime(2026, 3, 1, 12, 30, 15, 1, tzinfo=UTC)
DEEP = {"é🙂": [1, 2.0, -0.0, 1e22, 1e-7, 0.1, None, True], "b": {"z": 1, "a": "\n"}}


def fill(engine: Engine, rows: int = 3) -> None:
    """Put ``rows`` rows into each table of the database."""
    with engine.begin() as connection:
        for table in stored_tables(connection):
            connection.execute(insert(table), [row_of(table, number) for number in range(rows)])


def row_of(table: Table, number: int) -> Row:
    """A row of the table; those of odd numbers leave out what may be left out."""
    return {column.name: _value(table, column, number) for column in table.columns}


def everything(connection: Connection) -> dict[str, list[Row]]:
    """All rows of all tables, in the order of their texts."""
    return {
        table.name: sorted(
            (row for batch in stored_rows(connection, table) for row in batch), key=repr
        )
        for table in stored_tables(connection)
    }


def _value(table: Table, column: Column[Any], number: int) -> Any:
    if column.nullable and number % 2:
        return None
    for key in column.foreign_keys:
        return _value(key.column.table, key.column, number)
    allowed = _allowed(table, column.name)
    if allowed:
        return allowed[number % len(allowed)]
    kind = column.type
    if isinstance(kind, JSON):
        return DEEP if number % 2 == 0 else []
    if isinstance(kind, UtcDateTime):
        return NOW + timedelta(days=-number, microseconds=number)
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, Integer):
        return 10 * (number + 1)
    if isinstance(kind, Float):
        return (0.1, 1.0, -1 / 3)[number % 3]
    if isinstance(kind, LargeBinary):
        return bytes([0, 255, number])
    assert isinstance(kind, String)
    return f"{number}ß {column.name}\t'"[: kind.length or None]


def _allowed(table: Table, column: str) -> list[str]:
    for check in table.constraints:
        if isinstance(check, CheckConstraint):
            told = str(check.sqltext)
            if re.match(rf"\(*{column}\b", told):
                return re.findall(r"'(\w+)'", told)
    return []
