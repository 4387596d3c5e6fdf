"""``triptych db``: the schema of the database, its backups, and copies of it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.command_line import actor_name, json_option, print_json, reports_errors, say
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.storage.rows import TableDigest

a_file = click.Path(dir_okay=False, path_type=Path)
force_option = click.option("--force", is_flag=True, help="Replace the rows that are there.")


@click.group("db")
def database() -> None:
    """The database: its schema, backups, and copies from one kind to the other."""


@database.command()
@click.option("--to", "revision", metavar="REVISION", help="The newest if unset.")
@json_option
@reports_errors
def upgrade(revision: str | None, as_json: bool) -> None:
    """Bring the schema forward; the rows stay."""
    _migrate(revision, back=False, as_json=as_json)


@database.command()
@click.option("--to", "revision", metavar="REVISION", required=True, help="An earlier one.")
@json_option
@reports_errors
def downgrade(revision: str, as_json: bool) -> None:
    """Bring the schema back. The rows stay, but for what only later ones know."""
    _migrate(revision, back=True, as_json=as_json)


@database.command()
@json_option
@reports_errors
def check(as_json: bool) -> None:
    """Look at the database, change nothing, and say what to do. Exit status 1 for a problem."""
    from shared.storage.engine import connect
    from shared.storage.schema import check_database
    from shared.storage.transfer import must_exist

    engine = connect(Settings().database)
    try:
        must_exist(engine)
        found = check_database(engine)
    finally:
        engine.dispose()
    if as_json:
        print_json(
            {
                "kind": found.kind,
                "revision": found.revision,
                "newest": found.newest,
                "vectors": found.vectors,
                "rows": found.rows,
                "problems": found.problems,
            }
        )
    else:
        say(f"{found.kind}, schema {found.revision or 'none'}, {sum(found.rows.values()):,} rows")
        for problem in found.problems:
            say(f"problem: {problem}")
    if found.problems:
        sys.exit(1)


@database.command()
@click.argument("path", type=a_file)
@click.option("--portable", is_flag=True, help="Rows that the other kind of database takes, too.")
@json_option
@reports_errors
def backup(path: Path, portable: bool, as_json: bool) -> None:
    """Write the database to PATH, beside running processes, and a manifest beside it."""
    from shared.storage.backup import back_up

    made = back_up(Settings().database, path, now=datetime.now(UTC), portable=portable)
    if as_json:
        print_json({"path": path, "kind": made.kind, "revision": made.revision, "rows": made.rows,
                    "sha256": made.sha256})  # fmt: skip
        return
    say(f"{made.rows:,} rows in {path} ({made.kind}, schema {made.revision})")


@database.command()
@click.argument("path", type=a_file)
@force_option
@json_option
@reports_errors
def restore(path: Path, force: bool, as_json: bool) -> None:
    """Put the backup PATH into the database, all of it or nothing."""
    from shared.storage import backup as backups
    from shared.storage.audit import record
    from shared.storage.engine import open_database

    settings = Settings()
    made = backups.restore(settings.database, path, force=force)
    engine = open_database(settings.database)
    try:
        with engine.begin() as connection:
            record(
                connection,
                actor=actor_name(),
                action="database restored",
                details={"made_at": made.made_at, "sha256": made.sha256, "rows": made.rows},
                at=datetime.now(UTC),
            )
    finally:
        engine.dispose()
    if as_json:
        print_json({"path": path, "kind": made.kind, "revision": made.revision, "rows": made.rows})
        return
    say(f"{made.rows:,} rows of {made.made_at} restored, and compared with the manifest")


@database.command()
@click.option("--from", "source", metavar="URL", help="The database in use if unset.")
@click.option("--to", "target", metavar="URL", required=True, help="An empty database.")
@force_option
@json_option
@reports_errors
def copy(source: str | None, target: str, force: bool, as_json: bool) -> None:
    """Copy all rows into another database, of either kind: all of them or none."""
    from shared.storage.transfer import copy_database

    copied = copy_database(source or Settings().database, target, force=force)
    if as_json:
        print_json(
            {
                "revision": copied.revision,
                "tables": {
                    name: {"rows": one.rows, "sha256_sum": one.sha256_sum}
                    for name, one in copied.tables.items()
                },
            }
        )
        return
    _show(copied.tables)
    rows = sum(one.rows for one in copied.tables.values())
    say(f"{rows:,} rows copied; counts and checksums of both sides are the same")


def _migrate(revision: str | None, *, back: bool, as_json: bool) -> None:
    from shared.errors import StorageError
    from shared.storage.engine import connect, is_sqlite, migrate, reading
    from shared.storage.schema import current_revision, revisions, row_counts

    known = revisions()
    wanted = revision or known[-1]
    if wanted not in known:
        raise StorageError(f"there is no revision {wanted}, but {', '.join(known)}")
    engine = connect(Settings().database)
    try:
        before = None
        held: dict[str, int] = {}
        if not is_sqlite(engine.url) or Path(str(engine.url.database)).is_file():
            with reading(engine) as connection:
                before, held = current_revision(connection), row_counts(connection)
        ahead = before in known and before != wanted and known.index(before) > known.index(wanted)
        behind = before not in known or known.index(before) < known.index(wanted)
        if (ahead and not back) or (behind and back):
            other = "upgrade" if back else "downgrade"
            raise StorageError(f"the schema is at {before}: `triptych db {other}` goes to {wanted}")
        migrate(engine, wanted, back=back)
        with reading(engine) as connection:
            left = row_counts(connection)
    finally:
        engine.dispose()
    lost = {name: rows for name, rows in held.items() if rows and name not in left}
    if as_json:
        print_json({"before": before, "revision": wanted, "rows": left, "lost": lost})
        return
    say(f"the schema is at {wanted}" + ("" if before == wanted else f", it was at {before}"))
    for name, rows in lost.items():
        say(f"{rows:,} rows of {name} went with their table")


def _show(tables: Mapping[str, TableDigest]) -> None:
    width = max(len(name) for name in tables)
    for name, one in tables.items():
        click.echo(f"{name.ljust(width)}  {one.rows:>9,}  {one.sha256_sum[:16]}")
