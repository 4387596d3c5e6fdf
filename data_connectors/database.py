"""Examples, or bare rows, from a SQL query, read in pieces through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from data_connectors.collecting import collect
from data_connectors.columns import find_columns
from data_connectors.files import FindColumns, Read
from data_connectors.rows import Row, examples_and_rejects
from shared.errors import SettingsError, StorageError, UnreadableFile
from shared.records import Dataset

T = TypeVar("T")

_BATCH = 1_000
"""Rows that are fetched at once."""


def read_query(
    url: str,
    query: str,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    keep: Sequence[str] = (),
    rejects: Path | None = None,
    name: str | None = None,
    single_class_ok: bool = False,
) -> Dataset:
    """The data set that a query selects; columns, rejects and errors as in ``files.read_file``.

    A Reject's line is the row's number in the result. Nothing that the query changes is kept:
    the transaction is rolled back. Passwords never stand in a message.

    Raises SettingsError (the address is none, or its driver is not installed), UnreadableFile
    (no such SQLite file), StorageError (the database or the query fails), UnknownColumn,
    EmptyData and SingleClass.
    """
    address = _checked(url)
    find = partial(
        find_columns,
        where=f"the query on {address.render_as_string(hide_password=True)}",
        text=text_column,
        label=label_column,
        split=split_column,
        keep=keep,
    )
    outcomes = _run(address, query, find, examples_and_rejects)
    return collect(
        outcomes,
        name=name or address.database or address.drivername,
        rejects=rejects,
        single_class_ok=single_class_ok,
    )


def iterate_query_rows(url: str, query: str, find: FindColumns) -> Iterator[Row]:
    """Row by row as the query gives them, for those who make no examples of them.

    Errors as in ``read_query``, but for EmptyData and SingleClass.
    """
    yield from _run(_checked(url), query, find, lambda rows, columns: rows)


def _checked(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise SettingsError("the address of the database is not an SQLAlchemy address") from None
    file = address.database
    if (
        address.get_backend_name() == "sqlite"
        and file
        and file != ":memory:"
        and not file.startswith("file:")
        and not Path(file).is_file()
    ):
        # SQLite would make an empty database of that name.
        raise UnreadableFile(f"{file}: there is no such SQLite file", path=file)
    return address


def _run(address: URL, query: str, find: FindColumns, read: Read[T]) -> Iterator[T]:
    shown = address.render_as_string(hide_password=True)
    try:
        engine = create_engine(address, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingsError(f"{shown}: no driver for it is installed: {error}") from error
    except ArgumentError:
        raise SettingsError(
            f"{shown} is no address of a {address.get_backend_name()} database"
        ) from None
    try:
        with engine.connect().execution_options(yield_per=_BATCH) as connection:
            result = connection.execute(text(query))
            if not result.returns_rows:
                raise StorageError(f"{shown}: the query returns no rows at all; give a SELECT")
            columns = find(list(result.keys()))
            rows = (
                Row(number, dict(values))
                for number, values in enumerate(result.mappings(), start=1)
            )
            yield from read(rows, columns)
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        raise StorageError(f"{shown}: the query failed: {reason}") from error
    finally:
        engine.dispose()
