"""Rows into a database: all of them, compared with what they were, or none.

    with snapshot(source) as connection:
        load(target, rows_of(connection), sequences_of(connection))

The tables are written in one transaction, in which they are read back before it ends: what is
committed has the digests of what was handed in. No more than a batch of rows is in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, Integer, Table, insert, select, text
from sqlalchemy.exc import DBAPIError, StatementError

from shared.errors import StorageError
from shared.storage.engine import connect, is_sqlite, migrate, reading, snapshot
from shared.storage.rows import (
    Row,
    TableDigest,
    differing,
    digests_of,
    stored_rows,
)
from shared.storage.schema import current_revision, revisions, stored_tables

Batches = Iterable[tuple[str, list[Row]]]
"""Rows of a table and its name; all rows of a table that others name come before theirs."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied, from which revision; both sides have these digests."""

    revision: str
    tables: Mapping[str, TableDigest]


def copy_database(source_url: str, target_url: str, *, force: bool = False) -> Copied:
    """Copy every row of one database into another, which may be of the other kind.

    The source is read in one snapshot and not changed. The target is made if it is not there, and
    brought to the newest schema at the end. Raises StorageError, and leaves the target's rows as
    they were: a target that holds rows (unless ``force``, which replaces them), a row that it
    cannot hold, a source that is not there or whose schema is not known.
    """
    source, target = connect(source_url), connect(target_url)
    try:
        if source.url.set(password=None) == target.url.set(password=None):
            raise StorageError("the source and the target are the same database")
        must_exist(source)
        with snapshot(source) as connection:
            revision = known_revision(connection, source)
            prepare(target, revision, force=force)
            tables = digests_of(connection, stored_tables(connection))
            sequences = sequences_of(connection)
            load(target, rows_of(connection), sequences, expected=tables, force=force)
        migrate(target)
        return Copied(revision, tables)
    finally:
        source.dispose()
        target.dispose()


def must_exist(engine: Engine) -> None:
    """Raises StorageError where the SQLite file is not there: connecting would make it."""
    if is_sqlite(engine.url) and not Path(str(engine.url.database)).is_file():
        raise StorageError(f"there is no database {engine.url.database}")


def known_revision(connection: Connection, engine: Engine) -> str:
    """The revision of a database that Triptych made. Raises StorageError for any other."""
    revision = current_revision(connection)
    if revision is None or revision not in revisions():
        shown = engine.url.render_as_string(hide_password=True)
        raise StorageError(
            f"{shown} has "
            + (
                "no schema of Triptych: nothing to take from it"
                if revision is None
                else f"the schema {revision}, which this version does not know: update Triptych"
            ),
            revision=revision,
        )
    return revision


def prepare(engine: Engine, revision: str, *, force: bool) -> None:
    """Bring a target without rows to a revision. Raises StorageError where it holds some."""
    if not is_sqlite(engine.url) or Path(str(engine.url.database)).is_file():
        with reading(engine) as connection:
            present = current_revision(connection)
            filled = filled_tables(connection)
        if filled and not force:
            raise holds_rows(engine, filled)
        if filled and present != revision:
            raise StorageError(
                f"the target holds rows in the schema {present}, what comes is in {revision}: "
                "use a new database, or bring both to the same with `triptych db upgrade`"
            )
        if present is not None and _position(present) > _position(revision):
            migrate(engine, revision, back=True)
            return
    migrate(engine, revision)


def load(
    engine: Engine,
    batches: Batches,
    sequences: Mapping[str, int],
    *,
    expected: Mapping[str, TableDigest],
    force: bool = False,
) -> None:
    """Write the rows in one transaction, read them back in it, and compare their digests.

    ``expected`` are the digests of each table, ``sequences`` the last numbers that were given to
    its rows: none is given twice. Raises StorageError, with nothing changed, for tables that hold
    rows (unless ``force``), rows that cannot be written, and rows other than those expected.
    """
    with engine.begin() as connection:
        tables = {table.name: table for table in stored_tables(connection)}
        if not is_sqlite(engine.url):
            names = ", ".join(f'"{name}"' for name in tables)
            connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
        filled = filled_tables(connection)
        if filled and not force:
            raise holds_rows(engine, filled)
        if filled:
            for table in reversed(tables.values()):
                connection.execute(table.delete())
        for name, rows in batches:
            if name not in tables:
                raise StorageError(f"the target has no table {name}")
            _write(connection, tables[name], rows)
        changed = differing(expected, digests_of(connection, list(tables.values())))
        if changed:
            raise StorageError(f"what was written differs from its source: {', '.join(changed)}")
        set_sequences(connection, sequences)


def set_sequences(connection: Connection, sequences: Mapping[str, int]) -> None:
    """The next row of each table gets a number beyond the one named, and beyond all rows."""
    for table in stored_tables(connection):
        if table.name in sequences:
            _set_sequence(connection, table, sequences[table.name])


def rows_of(connection: Connection) -> Iterator[tuple[str, list[Row]]]:
    """All rows of the database, a batch at a time."""
    for table in stored_tables(connection):
        for batch in stored_rows(connection, table):
            yield table.name, batch


def sequences_of(connection: Connection) -> dict[str, int]:
    """The last number that was given to a row of each table that numbers its rows."""
    found = {}
    for table in stored_tables(connection):
        if _numbered(table) is None:
            continue
        if connection.dialect.name == "sqlite":
            query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
            last = connection.scalar(query, {"name": table.name})
        else:
            name = _sequence(connection, table)
            query = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}")
            last = connection.scalar(query)
        found[table.name] = int(last or 0)
    return found


def filled_tables(connection: Connection) -> list[str]:
    """The tables that hold a row."""
    return [
        table.name
        for table in stored_tables(connection)
        if connection.execute(select(1).select_from(table).limit(1)).first() is not None
    ]


def holds_rows(engine: Engine, tables: list[str]) -> StorageError:
    """What is said of a target that is not empty."""
    shown = engine.url.render_as_string(hide_password=True)
    listed = ", ".join(tables[:4]) + (" and others" if len(tables) > 4 else "")
    return StorageError(
        f"{shown} holds rows ({listed}): name an empty database, or replace them with --force",
        tables=tables,
    )


def _write(connection: Connection, table: Table, rows: list[Row]) -> None:
    try:
        connection.execute(insert(table), rows)
    except (DBAPIError, StatementError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        keys = [column.name for column in table.primary_key]
        first = {name: rows[0].get(name) for name in keys}
        raise StorageError(
            f"a row of {table.name} cannot be written, one of {len(rows)} from {first} on: {cause}",
            table=table.name,
        ) from error


def _set_sequence(connection: Connection, table: Table, last: int) -> None:
    column = _numbered(table)
    if column is None:
        return
    greatest = connection.scalar(select(table.c[column]).order_by(table.c[column].desc()).limit(1))
    last = max(last, greatest or 0)
    if connection.dialect.name == "sqlite":
        row = {"name": table.name, "last": last}
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), row)
        connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), row)
        return
    set_value = text("SELECT setval(CAST(:sequence AS regclass), :value, :called)")
    values = {"value": max(last, 1), "called": last > 0}
    connection.execute(set_value, {"sequence": _sequence(connection, table), **values})


def _sequence(connection: Connection, table: Table) -> str:
    query = text("SELECT pg_get_serial_sequence(:table, :column)")
    name = connection.scalar(query, {"table": table.name, "column": _numbered(table)})
    return str(name)


def _numbered(table: Table) -> str | None:
    """The column by which the database numbers the rows of a table."""
    keys = list(table.primary_key.columns)
    return keys[0].name if len(keys) == 1 and isinstance(keys[0].type, Integer) else None


def _position(revision: str) -> int:
    known = revisions()
    return known.index(revision) if revision in known else len(known)
