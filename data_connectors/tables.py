"""Bare rows of any table: a file of any format, or a database's address with a query."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_connectors.files import FindColumns, iterate_rows
from data_connectors.rows import Row
from shared.errors import SettingsError


def is_address(source: str | Path) -> bool:
    """Whether a source is the SQLAlchemy address of a database, and not a file."""
    return isinstance(source, str) and "://" in source


def shown_source(source: str | Path) -> str:
    """The source as messages may show it: a database's address says neither user nor password."""
    if not is_address(source):
        return str(source)
    return f"the query on {str(source).partition('://')[0]}"


def iterate_table(
    source: str | Path,
    find: FindColumns,
    *,
    query: str | None = None,
    named: tuple[str | None, str | None] = (None, None),
) -> Iterator[Row]:
    """Row by row as the source gives them; ``find`` and ``named`` as in ``files.iterate_rows``.

    Raises SettingsError where a query is missing or has no database, UnreadableFile where there
    is no such file, and what ``iterate_rows`` and ``iterate_query_rows`` raise.
    """
    if is_address(source):
        if not query:
            raise SettingsError("a database needs a query that selects the rows: give --query")
        from data_connectors.database import iterate_query_rows

        yield from iterate_query_rows(str(source), query, find)
        return
    if query:
        raise SettingsError(f"a query goes with a database address; {str(source)!r} is none")
    yield from iterate_rows(Path(source), find, named=named)
