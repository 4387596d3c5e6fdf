"""One way to the database: ``open_database`` gives an engine whose schema is up to date.

SQLite (write-ahead log, foreign keys on) serves one machine; PostgreSQL serves more. On both:

    with engine.begin() as connection:      reads and writes, alone until it ends
    with reading(engine) as connection:     reads only, beside writers

On SQLite ``engine.begin()`` takes the write lock at once (BEGIN IMMEDIATE). A transaction that
reads first and takes the lock later fails without waiting when another wrote in between; see
https://www.sqlite.org/lang_transaction.html. On PostgreSQL use ``with_for_update()`` on rows that
are read in order to be changed; SQLite ignores it.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from filelock import FileLock
from filelock import Timeout as LockTimeout
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

from shared.errors import StorageError

BUSY_SECONDS = 15.0
"""How long a SQLite writer waits for another before it gives up."""

MIGRATION_SECONDS = 120.0
"""How long a start waits for another that migrates the same database."""

_MIGRATION_LOCK = 7_412_020_615
_READ_ONLY = "triptych_read_only"


def open_database(url: str) -> Engine:
    """An engine on the database at ``url``, its folder made and its schema migrated to the newest.

    The caller disposes of the engine. Safe to call from several processes at once. ``sqlite://``
    (in memory) holds one connection and suits one thread.

    Raises StorageError: an address that is no address, a database that cannot be reached or that
    a newer Triptych made.
    """
    address = _parse(url)
    engine = _sqlite_engine(address) if _is_sqlite(address) else _server_engine(address)
    shown = address.render_as_string(hide_password=True)
    try:
        _migrate(engine, address)
    except CommandError as error:
        engine.dispose()
        raise StorageError(
            f"the database {shown} has a schema that this version of Triptych does not know "
            f"({error}): update Triptych, or set TRIPTYCH_DATABASE_URL to another database",
            url=shown,
        ) from error
    except (DBAPIError, sqlite3.Error, OSError) as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        raise StorageError(
            f"cannot open the database {shown}: {str(cause).strip()}", url=shown
        ) from error
    return engine


def reading(engine: Engine) -> AbstractContextManager[Connection]:
    """A connection for reads only: on SQLite it sees one snapshot and stops no writer."""
    return engine.execution_options(**{_READ_ONLY: True}).connect()


def _parse(url: str) -> URL:
    try:
        address = make_url(url)
        if address.drivername in ("postgres", "postgresql"):
            address = address.set(drivername="postgresql+psycopg")
        address.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise StorageError(
            "the address of the database is none that SQLAlchemy knows: write it as "
            "sqlite:///folder/file.sqlite3 or postgresql://user:password@host/name"
        ) from error
    return address


def _is_sqlite(address: URL) -> bool:
    return address.get_backend_name() == "sqlite"


def _in_memory(address: URL) -> bool:
    return address.database in (None, "", ":memory:")


def _server_engine(address: URL) -> Engine:
    return create_engine(address, pool_pre_ping=True, pool_size=10, max_overflow=40)


def _sqlite_engine(address: URL) -> Engine:
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    if _in_memory(address):
        engine = create_engine(address, connect_args=arguments, poolclass=StaticPool)
    else:
        engine = create_engine(address, connect_args=arguments, pool_size=10, max_overflow=40)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not in the driver
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            connection.close()  # the pool does not know it yet
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _migrate(engine: Engine, address: URL) -> None:
    """Bring the schema up to date, in one transaction, one process at a time."""
    if not _is_sqlite(address):
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            _upgrade(connection)
        return
    if _in_memory(address):
        with engine.begin() as connection:
            _upgrade(connection)
        return
    file = Path(str(address.database))
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{file}.lock", timeout=MIGRATION_SECONDS):
            _use_write_ahead_log(engine)
            with engine.begin() as connection:
                _upgrade(connection)
    except LockTimeout as error:
        raise StorageError(
            f"another process has been migrating {file} for {MIGRATION_SECONDS:.0f} s",
            url=str(file),
        ) from error


def _use_write_ahead_log(engine: Engine) -> None:
    """The journal mode is kept in the file; it can only change outside a transaction."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()
    finally:
        raw.close()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "shared.storage:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
