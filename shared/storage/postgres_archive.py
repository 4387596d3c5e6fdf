"""The rows of a PostgreSQL database as an archive of pg_dump, where its programs are installed.

Only rows: the schema is made by migrations, as everywhere. See
https://www.postgresql.org/docs/current/app-pgdump.html.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL

from shared.errors import StorageError
from shared.storage.engine import snapshot
from shared.storage.schema import stored_tables

PROGRAMS = ("pg_dump", "pg_restore", "psql")


def usable(connection: Connection) -> bool:
    """Whether the programs are there, and none of them is older than the server."""
    server = connection.dialect.server_version_info
    if server is None:
        return False
    return all(_major(name) >= int(server[0]) for name in PROGRAMS)


def dump(connection: Connection, address: URL, path: Path) -> None:
    """Write the rows as ``connection`` sees them, which must be a snapshot, to ``path``."""
    name = connection.scalar(text("SELECT pg_export_snapshot()"))
    schema = connection.scalar(text("SELECT current_schema()"))
    options = ["--format=custom", "--data-only", f"--schema={schema}", f"--snapshot={name}"]
    options += ["--exclude-table=alembic_version", f"--file={path}"]
    _run(["pg_dump", *options, f"--dbname={_without_password(address)}"], address)


def restore(engine: Engine, path: Path) -> None:
    """Put the rows of an archive in the place of those that are there, all of them or none.

    Raises StorageError where the programs are missing or one of them fails.
    """
    with snapshot(engine) as connection:
        if not usable(connection):
            raise StorageError(
                f"{path} was made by pg_dump: install {', '.join(PROGRAMS)} of the server's version"
            )
        names = ", ".join(f'"{table.name}"' for table in stored_tables(connection))
    with tempfile.TemporaryDirectory(prefix="triptych-restore-") as folder:
        script = Path(folder) / "rows.sql"
        _run(["pg_restore", f"--file={script}", str(path)], engine.url)
        options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
        steps = [f"--command=TRUNCATE {names}", f"--file={script}", "--output=/dev/null"]
        _run(["psql", *options, *steps, f"--dbname={_without_password(engine.url)}"], engine.url)


def _major(program: str) -> int:
    found = shutil.which(program)
    if found is None:
        return 0
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"(\d+)", told)
    return int(version.group(1)) if version else 0


def _without_password(address: URL) -> str:
    plain = address.set(drivername="postgresql", password=None)
    return plain.render_as_string(hide_password=False)


def _run(command: list[str], address: URL) -> None:
    environment = dict(os.environ)
    if address.password is not None:
        environment["PGPASSWORD"] = str(address.password)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[0]
        raise StorageError(f"{command[0]} failed: {said}")
