"""Rows in a form that is the same whatever database they stand in, and a digest of a table.

A portable value is fit for JSON: times are UTC with microseconds, bytes are base64, and numbers
that are equal look alike. The digest of a table is the sum of the SHA-256 of its rows modulo
2**256, so that their order, in which databases differ, makes no difference, and a table is read
once, a row at a time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, Float, LargeBinary, Table, select

from shared.errors import DataError
from shared.storage.tables import UtcDateTime

BATCH_ROWS = 500
"""Rows in memory at once."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TableDigest:
    """How many rows, and the sum of their digests as 64 hexadecimal digits."""

    rows: int
    sha256_sum: str


class RunningDigest:
    """The digest of rows that come one after another, in any order."""

    def __init__(self, table: Table) -> None:
        self._columns = tuple(table.columns)
        self._rows = 0
        self._sum = 0

    def add(self, row: Row) -> None:
        """Count a row of values as Python has them."""
        self._rows += 1
        self._sum += int.from_bytes(hashlib.sha256(canonical(row, self._columns)).digest(), "big")

    def digest(self) -> TableDigest:
        """The digest of the rows so far."""
        return TableDigest(self._rows, f"{self._sum % 2**256:064x}")


def canonical(row: Row, columns: Sequence[Column[Any]]) -> bytes:
    """The bytes of a row that are the same on every database."""
    values = {
        column.name: _alike(to_portable(column, row[column.name]))
        for column in columns
        if row[column.name] is not None
    }
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


def to_portable(column: Column[Any], value: Any) -> Any:
    """The value in a form fit for JSON."""
    if value is None or isinstance(column.type, JSON):
        return value
    if isinstance(column.type, UtcDateTime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(column.type, LargeBinary):
        return base64.b64encode(value).decode("ascii")
    if isinstance(column.type, Boolean):
        return bool(value)
    return float(value) if isinstance(column.type, Float) else value


def from_portable(column: Column[Any], value: Any) -> Any:
    """The value that ``to_portable`` had. Raises DataError for what it cannot have written."""
    try:
        if value is None:
            return None
        if isinstance(column.type, UtcDateTime):
            return datetime.fromisoformat(value)
        if isinstance(column.type, LargeBinary):
            return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise DataError(
            f"{value!r} is no value of {column.table.name}.{column.name}", column=column.name
        ) from error
    return value


def stored_rows(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """The rows of a table in batches, read as they are taken."""
    query = select(table).execution_options(stream_results=True)
    for part in connection.execute(query).mappings().partitions(BATCH_ROWS):
        yield [dict(row) for row in part]


def digest_of(connection: Connection, table: Table) -> TableDigest:
    """The digest of what stands in a table."""
    running = RunningDigest(table)
    for batch in stored_rows(connection, table):
        for row in batch:
            running.add(row)
    return running.digest()


def digests_of(connection: Connection, tables: Sequence[Table]) -> dict[str, TableDigest]:
    """The digest of each table by its name."""
    return {table.name: digest_of(connection, table) for table in tables}


def differing(first: Mapping[str, TableDigest], second: Mapping[str, TableDigest]) -> list[str]:
    """The tables whose digests are not the same, with how many rows each side has."""
    nothing = TableDigest(0, "0" * 64)
    found = []
    for table in sorted({*first, *second}):
        ours, theirs = first.get(table, nothing), second.get(table, nothing)
        if ours != theirs:
            found.append(f"{table} ({ours.rows:,} rows, then {theirs.rows:,})")
    return found


def _alike(value: Any) -> Any:
    """Equal numbers as one: PostgreSQL keeps those within JSON as decimals."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        exact = abs(value) <= 2**53  # beyond, a double says less than its digits
        return int(value) if exact and value == int(value) else float(value)
    if isinstance(value, dict):
        return {str(key): _alike(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_alike(inner) for inner in value]
    return value
