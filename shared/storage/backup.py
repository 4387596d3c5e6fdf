"""A backup is one file and a manifest beside it, ``<file>.manifest.json``.

sqlite      of SQLite: a SQLite database, by SQLite's online backup
pg_dump     of PostgreSQL, where its programs are installed: the rows, in pg_dump's custom format
rows        of either, into either: a JSON line a row, compressed (``rows.to_portable``)

Each is the state of one moment, taken beside running processes. The manifest holds the schema's
revision, the SHA-256 of the file, and the digest of each table, which a restore compares.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError

from shared.errors import DataError, StorageError, UnreadableFile
from shared.storage import postgres_archive
from shared.storage.engine import connect, is_sqlite, migrate, snapshot
from shared.storage.rows import (
    BATCH_ROWS,
    Row,
    TableDigest,
    differing,
    digests_of,
    from_portable,
    stored_rows,
    to_portable,
)
from shared.storage.schema import stored_tables
from shared.storage.transfer import (
    filled_tables,
    holds_rows,
    known_revision,
    load,
    must_exist,
    prepare,
    sequences_of,
    set_sequences,
)

BackupKind = Literal["sqlite", "pg_dump", "rows"]
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands beside a backup."""

    kind: BackupKind
    revision: str
    made_at: str
    sha256: str
    tables: dict[str, TableDigest]
    sequences: dict[str, int]
    format: int = FORMAT

    @property
    def rows(self) -> int:
        """How many rows the backup holds."""
        return sum(table.rows for table in self.tables.values())


def back_up(url: str, path: Path, *, now: datetime, portable: bool = False) -> Manifest:
    """Write the database to ``path`` and what it is beside it; readable by their owner alone.

    ``portable`` asks for rows that a database of the other kind can take, too. An existing file is
    not touched: raises StorageError, as for a database that is not there.
    """
    if path.exists() or manifest_path(path).exists():
        raise StorageError(f"{path} exists already: a backup replaces none", path=str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = connect(url)
    try:
        must_exist(engine)
        kind: BackupKind = "rows"
        if not portable:
            kind = "sqlite" if is_sqlite(engine.url) else "rows"
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            if kind == "sqlite":
                _copy_sqlite(Path(str(engine.url.database)), unfinished)
                copied = connect(f"sqlite:///{unfinished}")
                try:
                    with snapshot(copied) as connection:
                        manifest = _describe(connection, copied, kind, now)
                finally:
                    copied.dispose()
            else:
                with snapshot(engine) as connection:
                    if not portable and postgres_archive.usable(connection):
                        kind = "pg_dump"
                        postgres_archive.dump(connection, engine.url, unfinished)
                    manifest = _describe(connection, engine, kind, now)
                    if kind == "rows":
                        _write_rows(connection, unfinished)
            manifest = Manifest(**{**_fields(manifest), "sha256": _sha256(unfinished)})
            _keep(unfinished, path, manifest)
        finally:
            unfinished.unlink(missing_ok=True)
        return manifest
    except DBAPIError as error:
        raise StorageError(f"the backup failed: {str(error.orig).strip()}") from error
    finally:
        engine.dispose()


def restore(url: str, path: Path, *, force: bool = False) -> Manifest:
    """Put a backup into the database at ``url``, and bring that to the newest schema.

    The file is compared with its manifest first. Raises StorageError, with the database as it was:
    one that holds rows (unless ``force``, which replaces them), a backup of another kind or of a
    newer Triptych. Raises UnreadableFile for a file that is no backup, or changed since.
    """
    manifest = read_manifest(path)
    if _sha256(path) != manifest.sha256:
        raise UnreadableFile(f"{path} changed since it was made", path=str(path))
    engine = connect(url)
    try:
        wanted = {"sqlite": "sqlite", "pg_dump": "postgresql"}.get(manifest.kind)
        if wanted not in (None, engine.url.get_backend_name()):
            raise StorageError(
                f"a backup of the kind {manifest.kind} goes into {wanted} alone: restore it there "
                "and copy it with `triptych db copy`, or make it with --portable"
            )
        if manifest.kind == "sqlite":
            _restore_sqlite(engine, path, manifest, force=force)
        elif manifest.kind == "rows":
            prepare(engine, manifest.revision, force=force)
            rows = _read_rows(engine, path)
            load(engine, rows, manifest.sequences, expected=manifest.tables, force=force)
        else:
            prepare(engine, manifest.revision, force=force)
            postgres_archive.restore(engine, path)
            with engine.begin() as connection:
                _must_equal(manifest, digests_of(connection, stored_tables(connection)))
                set_sequences(connection, manifest.sequences)
        migrate(engine)
        return manifest
    finally:
        engine.dispose()


def manifest_path(path: Path) -> Path:
    """Where the manifest of a backup stands."""
    return path.with_name(path.name + ".manifest.json")


def read_manifest(path: Path) -> Manifest:
    """What a backup is. Raises UnreadableFile where it or its manifest is missing or broken."""
    try:
        if not path.is_file():
            raise OSError("there is no such file")
        stored = json.loads(manifest_path(path).read_text("utf-8"))
        if stored["format"] != FORMAT:
            raise ValueError(f"its format is {stored['format']}, and {FORMAT} is known")
        if stored["kind"] not in ("sqlite", "pg_dump", "rows"):
            raise ValueError(f"its kind is {stored['kind']!r}")
        stored["tables"] = {name: TableDigest(**one) for name, one in stored["tables"].items()}
        return Manifest(**stored)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableFile(
            f"{path} is no backup that Triptych made, with its manifest beside it: {error}",
            path=str(path),
        ) from error


def _describe(connection: Connection, engine: Engine, kind: BackupKind, now: datetime) -> Manifest:
    revision = known_revision(connection, engine)
    tables = digests_of(connection, stored_tables(connection))
    return Manifest(kind, revision, now.isoformat(), "", tables, sequences_of(connection))


def _keep(unfinished: Path, path: Path, manifest: Manifest) -> None:
    beside = manifest_path(path)
    beside.write_text(json.dumps(asdict(manifest), indent=1) + "\n", "utf-8")
    beside.chmod(0o600)
    for file in (unfinished, beside):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    unfinished.replace(path)


def _copy_sqlite(source: Path, target: Path) -> None:
    """One moment of a database that others read and write, as one file without a log."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as taken,
        closing(sqlite3.connect(target)) as written,
    ):
        taken.backup(written)
        written.execute("PRAGMA journal_mode = DELETE")


def _restore_sqlite(engine: Engine, path: Path, manifest: Manifest, *, force: bool) -> None:
    target = Path(str(engine.url.database))
    if target.is_file() and target.stat().st_size:
        with snapshot(engine) as connection:
            filled = filled_tables(connection)
        if filled and not force:
            raise holds_rows(engine, filled)
    target.parent.mkdir(parents=True, exist_ok=True)
    kept = connect(f"sqlite:///{path}")
    try:
        with snapshot(kept) as connection:
            known_revision(connection, kept)
            _must_equal(manifest, digests_of(connection, stored_tables(connection)))
    finally:
        kept.dispose()
    engine.dispose()
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as taken,
        closing(sqlite3.connect(target, timeout=15)) as written,
    ):
        written.execute("PRAGMA journal_mode = WAL")
        taken.backup(written)


def _must_equal(manifest: Manifest, written: dict[str, TableDigest]) -> None:
    changed = differing(manifest.tables, written)
    if changed:
        raise StorageError(f"what was restored differs from the backup in: {', '.join(changed)}")


def _write_rows(connection: Connection, path: Path) -> None:
    with gzip.open(path, "wt", compresslevel=6, encoding="utf-8") as lines:
        for table in stored_tables(connection):
            for batch in stored_rows(connection, table):
                for row in batch:
                    values = {
                        column.name: to_portable(column, row[column.name])
                        for column in table.columns
                    }
                    lines.write(json.dumps([table.name, values]) + "\n")


def _read_rows(engine: Engine, path: Path) -> Iterator[tuple[str, list[Row]]]:
    with snapshot(engine) as connection:
        tables = {table.name: table for table in stored_tables(connection)}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        parsed = (json.loads(line) for line in lines)
        for name, group in groupby(parsed, key=lambda entry: entry[0]):
            if name not in tables:
                raise DataError(f"{path} has rows of a table {name} that is not known")
            read = _reader(tables[name])
            rows = (read(values) for _, values in group)
            while batch := list(islice(rows, BATCH_ROWS)):
                yield name, batch


def _reader(table: Table) -> Callable[[dict[str, Any]], Row]:
    def read(values: dict[str, Any]) -> Row:
        return {column.name: from_portable(column, values[column.name]) for column in table.columns}

    return read


def _fields(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in Manifest.__slots__}


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
