"""Examples, or bare rows, from CSV, TSV, JSON lines and Parquet files of any size.

Rows are read one after another: memory holds the examples and one batch, never the file.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from data_connectors.collecting import collect
from data_connectors.columns import Columns, find_columns
from data_connectors.delimited import Line, physical_lines, read_records
from data_connectors.detection import (
    check_delimiter,
    detect_delimiter,
    detect_encoding,
    file_kind,
)
from data_connectors.rows import Row, examples_and_rejects
from shared.errors import DataError, EmptyData, SettingsError, UnreadableFile
from shared.records import Dataset, Example, Reject

T = TypeVar("T")

FindColumns = Callable[[Sequence[str]], Columns]
"""Names of columns in, the columns to read out; raises UnknownColumn."""

Read = Callable[[Iterable[Row], Columns], Iterable[T]]
"""What becomes of the rows."""

_LOOKED_AT = 100
"""Lines that are looked at to tell delimiter and columns."""

_BATCH = 4_096
"""Rows of a Parquet file in memory at once."""

_READ = 1 << 16
"""Bytes that are read of a Parquet column at once."""


def read_file(
    path: Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    keep: Sequence[str] = (),
    encoding: str | None = None,
    delimiter: str | None = None,
    rejects: Path | None = None,
    name: str | None = None,
    single_class_ok: bool = False,
) -> Dataset:
    """The data set in a file; what is not named is detected.

    Columns in ``keep`` go along in the examples' details, where the file has them.

    A bad row never stops the file: it becomes a Reject with its line (of a Parquet file, its
    row) and a reason, and a JSON line in the file ``rejects``, which exists only when there are
    some. The data set is called ``name``, or like the file.

    Raises UnreadableFile (missing, binary, not what its name says), UnknownColumn (with the
    columns there are), EmptyData, SingleClass (unless ``single_class_ok``), and SettingsError
    (no such encoding, a delimiter that is none).
    """
    if rejects is not None and rejects.resolve() == path.resolve():
        raise DataError(f"the rejects of {path} cannot be written over the file itself")
    outcomes = iterate_file(
        path,
        text_column=text_column,
        label_column=label_column,
        split_column=split_column,
        keep=keep,
        encoding=encoding,
        delimiter=delimiter,
    )
    return collect(
        outcomes, name=name or path.name, rejects=rejects, single_class_ok=single_class_ok
    )


def iterate_file(
    path: Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    keep: Sequence[str] = (),
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Iterator[Example | Reject]:
    """Example by example, in memory that does not grow with the file. Errors as in read_file."""
    find = partial(
        find_columns,
        where=str(path),
        text=text_column,
        label=label_column,
        split=split_column,
        keep=keep,
    )
    named = (text_column, label_column)
    yield from _iterate(path, find, examples_and_rejects, encoding, delimiter, named)


def iterate_rows(
    path: Path,
    find: FindColumns,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    named: tuple[str | None, str | None] = (None, None),
) -> Iterator[Row]:
    """Row by row as the file has them, for those who make no examples of them.

    Of a Parquet file the columns that ``find`` gives are read, of other files all. ``named``
    are columns that the file is known to have. Errors as in read_file, but for SingleClass.
    """
    yield from _iterate(path, find, lambda rows, columns: rows, encoding, delimiter, named)


def _iterate(
    path: Path,
    find: FindColumns,
    read: Read[T],
    encoding: str | None,
    delimiter: str | None,
    named: tuple[str | None, str | None],
) -> Iterator[T]:
    kind = file_kind(path)
    if kind == "parquet":
        yield from _read_parquet(path, find, read)
        return
    encoding = encoding or detect_encoding(path)
    # A broken character is marked by a lone surrogate, which rejects its row and no other.
    wide = encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32"))
    errors = "replace" if wide else "surrogateescape"
    try:
        file = path.open(encoding=encoding, errors=errors, newline="")
    except LookupError:
        raise SettingsError(f"there is no text encoding {encoding!r}") from None
    with file:
        lines = physical_lines(file)
        if wide:
            lines = (replace(line, text=line.text.replace("\ufffd", "\udcff")) for line in lines)
        try:
            if kind == "json lines":
                yield from _read_json_lines(path, lines, find, read)
            else:
                yield from _read_delimited(path, lines, delimiter, named, find, read)
        except UnicodeError as error:
            raise UnreadableFile(f"{path} is not {encoding}: {error}", path=str(path)) from error


def _read_delimited(
    path: Path,
    lines: Iterator[Line],
    delimiter: str | None,
    named: tuple[str | None, str | None],
    find: FindColumns,
    read: Read[T],
) -> Iterator[T]:
    if delimiter is None:
        first = list(itertools.islice(lines, _LOOKED_AT))
        hint = "\t" if path.suffix.lower() in {".tsv", ".tab"} else ","
        delimiter = detect_delimiter(first, hint=hint, wanted=named)
        lines = itertools.chain(first, lines)
    records = read_records(lines, check_delimiter(delimiter))
    header = next((r for r in records if r.fault or any(map(str.strip, r.fields))), None)
    if header is None:
        raise EmptyData(f"{path}: the file is empty", path=str(path))
    if header.fault:
        raise UnreadableFile(
            f"{path}: the line of column names cannot be read: {header.fault}", path=str(path)
        )
    names = [name.strip() for name in header.fields]
    columns = find(names)
    needed = 1 + max(names.index(columns.text), names.index(columns.label))
    width = len(names)

    def rows() -> Iterator[Row]:
        for record in records:
            fields = record.fields
            if record.fault:
                yield Row(record.line, {"raw": record.raw}, record.fault)
            elif not any(map(str.strip, fields)):
                continue
            elif len(fields) < needed:
                fault = f"it has {len(fields)} of {width} columns"
                yield Row(record.line, dict(zip(names, fields, strict=False)), fault)
            elif len(fields) > width and any(map(str.strip, fields[width:])):
                fault = f"it has {len(fields)} columns where the first line names {width}"
                yield Row(record.line, {"fields": fields}, fault)
            else:
                yield Row(record.line, dict(zip(names, fields, strict=False)))

    yield from read(rows(), columns)


def _read_json_lines(
    path: Path, lines: Iterator[Line], find: FindColumns, read: Read[T]
) -> Iterator[T]:
    rows = (_json_row(line) for line in lines if line.text.strip())
    first = list(itertools.islice(rows, _LOOKED_AT))
    if not first:
        raise EmptyData(f"{path}: the file is empty", path=str(path))
    sound = [row for row in first if row.fault is None]
    if not sound:
        raise UnreadableFile(
            f"{path}: none of its first {len(first)} lines is a JSON object"
            f" (line {first[0].line}: {first[0].fault})",
            path=str(path),
        )
    names = list(dict.fromkeys(key for row in sound for key in row.values))
    columns = find(names)
    yield from read(itertools.chain(first, rows), columns)


def _json_row(line: Line) -> Row:
    if line.too_long:
        return Row(line.number, {"raw": line.text}, "the line is too long")
    try:
        value = json.loads(line.text)
    except json.JSONDecodeError as error:
        return Row(line.number, {"raw": line.text}, f"it is not JSON: {error.msg}")
    except RecursionError:
        return Row(line.number, {"raw": line.text}, "it is not JSON: nested too deeply")
    if not isinstance(value, dict):
        return Row(line.number, {"raw": line.text}, "it is no JSON object")
    return Row(line.number, value)


def _read_parquet(path: Path, find: FindColumns, read: Read[T]) -> Iterator[T]:
    import pyarrow
    import pyarrow.parquet

    try:
        # Read ahead of nothing: by default pyarrow would hold every column chunk at once.
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=_READ) as file:
            names = list(file.schema_arrow.names)
            columns = find(names)
            roles = (columns.text, columns.label, columns.split, *columns.kept.values())
            wanted = [name for name in roles if name]
            batches = file.iter_batches(batch_size=_BATCH, columns=wanted, use_threads=False)
            yield from read(_parquet_rows(batches), columns)
    except (pyarrow.ArrowException, OSError) as error:
        raise UnreadableFile(
            f"{path} is broken or no Parquet file: {error}", path=str(path)
        ) from error


def _parquet_rows(batches: Iterator[Any]) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            number += 1
            yield Row(number, values)
