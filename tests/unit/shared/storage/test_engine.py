from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from shared.errors import StorageError
from shared.storage.engine import open_database, reading

pytestmark = pytest.mark.unit


def test_the_folder_is_made_and_the_log_is_write_ahead(tmp_path: Path) -> None:
    file = tmp_path / "not" / "yet" / "there 100%.sqlite3"
    engine = open_database(f"sqlite:///{file}")
    try:
        with reading(engine) as connection:
            assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
            assert connection.scalar(text("PRAGMA foreign_keys")) == 1
    finally:
        engine.dispose()
    assert file.is_file()


def test_disposing_closes_every_connection(tmp_path: Path) -> None:
    """The write-ahead log is removed by the last connection that closes."""
    file = tmp_path / "triptych.sqlite3"
    engine = open_database(f"sqlite:///{file}")
    with engine.begin() as one, reading(engine) as two:
        assert one.scalar(text("SELECT 1")) == two.scalar(text("SELECT 1")) == 1
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedout() == 0
    engine.dispose()
    assert not Path(f"{file}-wal").exists()


def test_memory_suits_a_test() -> None:
    engine = open_database("sqlite://")
    try:
        with engine.begin() as connection:
            assert connection.scalar(text("SELECT count(*) FROM conversations")) == 0
    finally:
        engine.dispose()


def test_an_address_that_is_none_says_how_to_write_one() -> None:
    for address in ("", "nonsense", "oracle-of-delphi://x/y", "postgresql://host:port/x"):
        with pytest.raises(StorageError, match=r"sqlite:///folder/file\.sqlite3"):
            open_database(address)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(StorageError) as caught:
        open_database("postgres://me:hunter2@127.0.0.1:1/x?connect_timeout=2")
    assert "hunter2" not in caught.value.message
    assert "127.0.0.1" in caught.value.message


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database " * 100)
    with pytest.raises(StorageError, match="not a database"):
        open_database(f"sqlite:///{file}")
    assert file.read_text().startswith("not a database")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot open the database"):
        open_database(f"sqlite:///{tmp_path}/file/triptych.sqlite3")


def test_an_older_reader_sees_a_plain_sqlite_file(tmp_path: Path) -> None:
    file = tmp_path / "triptych.sqlite3"
    open_database(f"sqlite:///{file}").dispose()
    connection = sqlite3.connect(file)
    try:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    finally:
        connection.close()
    versions = resources.files("shared.storage") / "migrations" / "versions"
    newest = max(file.name[:4] for file in versions.iterdir() if file.name[:4].isdigit())
    assert rows == [(newest,)]
