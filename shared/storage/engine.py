"""One way to the database: ``open_database`` gives an engine whose schema is up to date.

SQLite (write-ahead log, foreign keys on) serves one machine; PostgreSQL serves more. On both:

    with engine.begin() as connection:      reads and writes, alone until it ends
    with reading(engine) as connection:     reads only, beside writers

On SQLite ``engine.begin()`` takes the write lock at once (BEGIN IMMEDIATE). A transaction that
reads first and takes the lock later fails without waiting when another wrote in between; see
https://www.sqlite.org/lang_transaction.html. On PostgreSQL use ``with_for_update()`` on rows that
are read in order to be changed; SQLite ignores it.

SQLite hands a commit to the operating system, which keeps it when a process is killed, but may
lose the last ones when the power fails: ``?synchronous=full`` in the address waits for the disk
at each commit. See https://www.sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

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

Step = Literal["upgrade", "downgrade"]

_MIGRATION_LOCK = 7_412_020_615
_READ_ONLY = "triptych_read_only"


def open_database(url: str) -> Engine:
    """An engine on the database at ``url``, its folder made and its schema migrated to the newest.

    The caller disposes of the engine. Safe to call from several processes at once. ``sqlite://``
    (in memory) holds one connection and suits one thread.

    Raises StorageError: an address that is no address, a database that cannot be reached or that
    a newer Triptych made.
    """
    engine = connect(url)
    try:
        migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def connect(url: str) -> Engine:
    """An engine on the database at ``url`` as it stands: nothing is made or migrated.

    The caller disposes of the engine. Raises StorageError for an address that is no address.
    """
    address = _parse(url)
    if not is_sqlite(address):
        return _server_engine(address)
    address, synchronous = _synchronous(address)
    return _sqlite_engine(address, synchronous)


def migrate(engine: Engine, to: str = "head", *, back: bool = False) -> None:
    """Bring the schema to the revision ``to``, in one transaction, one process at a time.

    With ``back`` it goes to an earlier one, and what only later ones know is lost. Raises
    StorageError: a database that cannot be reached, or a revision that is not known.
    """
    shown = engine.url.render_as_string(hide_password=True)
    step: Step = "downgrade" if back else "upgrade"
    try:
        _migrate(engine, step, to)
    except CommandError as error:
        raise StorageError(
            f"the database {shown} has a schema that this version of Triptych does not know "
            f"({error}): update Triptych, or set TRIPTYCH_DATABASE_URL to another database",
            url=shown,
        ) from error
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StorageError(
            f"cannot open the database {shown}: {str(cause).strip()}", url=shown
        ) from error


def reading(engine: Engine) -> AbstractContextManager[Connection]:
    """A connection for reads only: on SQLite it sees one snapshot and stops no writer."""
    return engine.execution_options(**{_READ_ONLY: True}).connect()


def snapshot(engine: Engine) -> AbstractContextManager[Connection]:
    """As ``reading``: one state of the whole database on both kinds, however long it takes."""
    if is_sqlite(engine.url):
        return reading(engine)
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return engine.execution_options(**options).connect()


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


def is_sqlite(address: URL) -> bool:
    """Whether it is the address of a SQLite file; else it is that of a server."""
    return address.get_backend_name() == "sqlite"


def _synchronous(address: URL) -> tuple[URL, str]:
    """The address without ``synchronous``, and what that says: NORMAL where it says nothing."""
    asked = address.query.get("synchronous", "normal")
    if not isinstance(asked, str) or asked.lower() not in ("normal", "full"):
        raise StorageError(f"synchronous is normal or full, not {asked!r}")
    return address.difference_update_query(["synchronous"]), asked.upper()


def _in_memory(address: URL) -> bool:
    return address.database in (None, "", ":memory:")


def _server_engine(address: URL) -> Engine:
    return create_engine(
        address, pool_pre_ping=True, pool_size=10, max_overflow=40, hide_parameters=True
    )


def _sqlite_engine(address: URL, synchronous: str) -> Engine:
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    if _in_memory(address):
        engine = create_engine(
            address, connect_args=arguments, poolclass=StaticPool, hide_parameters=True
        )
    else:
        engine = create_engine(
            address,
            connect_args=arguments,
            pool_size=10,
            max_overflow=40,
            hide_parameters=True,  # errors reach the log: no texts, no secrets in them
        )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not in the driver
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
        except sqlite3.Error:
            connection.close()  # the pool does not know it yet
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _migrate(engine: Engine, step: Step, to: str) -> None:
    address = engine.url
    if not is_sqlite(address):
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            _run(connection, step, to)
        return
    if _in_memory(address):
        with engine.begin() as connection:
            _run(connection, step, to)
        return
    file = Path(str(address.database))
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{file}.lock", timeout=MIGRATION_SECONDS):
            _use_write_ahead_log(engine)
            with engine.begin() as connection:
                _run(connection, step, to)
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


def _run(connection: Connection, step: Step, to: str) -> None:
    config = migration_config()
    config.attributes["connection"] = connection
    if step == "upgrade":
        command.upgrade(config, to)
    else:
        command.downgrade(config, to)


def migration_config() -> Config:
    """Where Alembic finds the steps of the schema."""
    config = Config()
    config.set_main_option("script_location", "shared.storage:migrations")
    return config
