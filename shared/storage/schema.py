"""What the schema of a database is: its revision, its tables, and whether it is sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, Table, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from shared.errors import StorageError
from shared.storage.engine import is_sqlite, migration_config, reading
from shared.storage.recommend_tables import metadata


@dataclass(frozen=True, slots=True)
class DatabaseCheck:
    """``problems`` is empty where all is well; ``rows`` is how many each table holds."""

    kind: str
    revision: str | None
    newest: str
    rows: Mapping[str, int]
    problems: tuple[str, ...]
    vectors: bool


def revisions() -> tuple[str, ...]:
    """All revisions of the schema that this Triptych knows, the oldest first."""
    script = ScriptDirectory.from_config(migration_config())
    return tuple(reversed([step.revision for step in script.walk_revisions()]))


def current_revision(connection: Connection) -> str | None:
    """The revision that the database is at; None where Triptych was never there."""
    revision = MigrationContext.configure(connection).get_current_revision()
    return None if revision is None else str(revision)


def stored_tables(connection: Connection) -> list[Table]:
    """The tables that the database has, those named by others first.

    As it has them, whatever its revision: with the columns that stand there, and the types that
    Triptych reads and writes them by, so that times are aware and None is no JSON null.
    """
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name != "alembic_version")
    for table in found.tables.values():
        known = metadata.tables.get(table.name)
        for column in table.columns:
            if known is not None and column.name in known.columns:
                column.type = known.columns[column.name].type
    return list(found.sorted_tables)


def row_counts(connection: Connection) -> dict[str, int]:
    """How many rows each table holds."""
    return {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0
        for table in stored_tables(connection)
    }


def check_database(engine: Engine) -> DatabaseCheck:
    """Look at the database and change nothing. Raises StorageError where it cannot be reached."""
    shown = engine.url.render_as_string(hide_password=True)
    newest = revisions()[-1]
    try:
        with reading(engine) as connection:
            revision = current_revision(connection)
            rows = row_counts(connection)
            problems = [*_revision_problems(revision, newest), *_lacking(connection, revision)]
            sqlite = is_sqlite(engine.url)
            problems += _sqlite_problems(connection) if sqlite else _server_problems(connection)
            vectors = not sqlite and inspect(connection).has_schema("triptych_vectors")
    except DBAPIError as error:
        raise StorageError(
            f"cannot read the database {shown}: {str(error.orig).strip()}", url=shown
        ) from error
    kind = engine.url.get_backend_name()
    return DatabaseCheck(kind, revision, newest, rows, tuple(problems), vectors)


def _revision_problems(revision: str | None, newest: str) -> list[str]:
    if revision is None:
        return ["it has no schema yet: run `triptych db upgrade`"]
    if revision not in revisions():
        return [f"a newer Triptych made its schema ({revision}): update Triptych"]
    if revision != newest:
        return [f"its schema is at {revision}, the newest is {newest}: run `triptych db upgrade`"]
    return []


def _lacking(connection: Connection, revision: str | None) -> list[str]:
    if revision != revisions()[-1]:
        return []
    inspector = inspect(connection)
    stored = {
        name: {str(column["name"]) for column in inspector.get_columns(name)}
        for name in inspector.get_table_names()
    }
    problems = []
    for table in metadata.sorted_tables:
        missing = {column.name for column in table.columns} - stored.get(table.name, set())
        if missing:
            listed = ", ".join(sorted(missing))
            problems.append(f"table {table.name} lacks {listed}: restore a backup")
    return problems


def _sqlite_problems(connection: Connection) -> list[str]:
    found = [
        f"SQLite finds the file damaged ({row[0]}): restore a backup"
        for row in connection.execute(text("PRAGMA integrity_check(20)"))
        if row[0] != "ok"
    ]
    broken = connection.execute(text("PRAGMA foreign_key_check")).all()
    if broken:
        tables = ", ".join(sorted({str(row[0]) for row in broken}))
        found.append(f"{len(broken)} rows name rows that are not there, in {tables}")
    mode = connection.scalar(text("PRAGMA journal_mode"))
    if mode not in ("wal", "memory"):
        found.append(f"its journal is {mode}, not wal: run `triptych db upgrade`")
    return found


def _server_problems(connection: Connection) -> list[str]:
    found = []
    broken = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    for name in connection.scalars(text(broken)):
        found.append(f"the index {name} is not valid: run REINDEX INDEX {name}")
    if connection.scalar(text("SHOW fsync")) != "on":
        found.append("fsync is off: a crash of the machine can destroy the database")
    if connection.scalar(text("SHOW server_encoding")) != "UTF8":
        found.append("its encoding is not UTF8: texts of some languages cannot be stored")
    return found
