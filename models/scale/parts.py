"""A long list of texts cut into parts: files that are there whole or not at all.

    FOLDER/plan.json              what is computed, and of how many texts
    FOLDER/.texts/00000.parquet   line and text of a part, until the work is done
    FOLDER/part-00000.parquet     what was computed of it

Whatever dies, what is there is kept: work that is begun again computes the missing parts alone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import DataError, EmptyData

if TYPE_CHECKING:
    import pyarrow

PLAN = "plan.json"
TEXTS = ".texts"
ROWS_PER_PART = 4_096


@dataclass(frozen=True, slots=True)
class Parts:
    """A folder of parts. ``rejected`` rows of the source held no text that can be read."""

    folder: Path
    count: int
    rows: int
    rejected: int
    first_reason: str | None

    def source(self, part: int) -> Path:
        """Where the texts of a part stand."""
        return self.folder / TEXTS / f"{part:05}.parquet"

    def result(self, part: int) -> Path:
        """Where what was computed of a part stands."""
        return self.folder / f"part-{part:05}.parquet"

    def missing(self) -> list[int]:
        """The parts that are not computed yet, in order."""
        return [part for part in range(self.count) if not self.result(part).is_file()]

    def finish(self) -> None:
        """Remove the texts once everything is computed."""
        shutil.rmtree(self.folder / TEXTS, ignore_errors=True)


def cut(
    texts: Iterable[tuple[int, str, str]],
    folder: Path,
    identity: Mapping[str, Any],
    *,
    rows_per_part: int = ROWS_PER_PART,
) -> Parts:
    """The parts in the folder: cut now from (line, text, fault), or as they were cut before.

    Memory holds one part. DataError when the folder holds the parts of other work, whose
    ``identity`` differs; EmptyData when there is no text.
    """
    import pyarrow

    plan = folder / PLAN
    if plan.is_file():
        kept = json.loads(plan.read_text(encoding="utf-8"))
        if kept["identity"] != dict(identity):
            raise DataError(
                f"{folder} holds the results of other data, another model or other options: name "
                "another folder, or delete it",
                found=kept["identity"],
                wanted=dict(identity),
            )
        found = Parts(folder, kept["parts"], kept["rows"], kept["rejected"], kept["first_reason"])
        if all(found.source(part).is_file() for part in found.missing()):
            return found  # else a result was deleted after all was done: the texts are cut again
    (folder / TEXTS).mkdir(parents=True, exist_ok=True)
    parts = Parts(folder, 0, 0, 0, None)
    lines: list[int] = []
    kept_texts: list[str] = []
    count = rows = rejected = 0
    first_reason: str | None = None

    def flush() -> None:
        nonlocal count, rows
        if lines:
            table = pyarrow.table({"line": pyarrow.array(lines, "int64"), "text": kept_texts})
            write_whole(table, parts.source(count))
            count, rows = count + 1, rows + len(lines)
            lines.clear()
            kept_texts.clear()

    for line, text, fault in texts:
        if fault:
            rejected += 1
            first_reason = first_reason or f"line {line}: {fault}"
            continue
        lines.append(line)
        kept_texts.append(text)
        if len(lines) == rows_per_part:
            flush()
    flush()
    if not rows:
        raise EmptyData(f"there is no text in it ({rejected} rows rejected)", rejects=rejected)
    told = {
        "identity": dict(identity), "parts": count, "rows": rows, "rejected": rejected,
        "first_reason": first_reason,
    }  # fmt: skip
    write_text_whole(json.dumps(told, indent=1) + "\n", plan)
    return Parts(folder, count, rows, rejected, first_reason)


def write_whole(table: pyarrow.Table, path: Path) -> None:
    """Write a Parquet file beside, sync it, and rename it into its place."""
    import pyarrow.parquet

    beside = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}")
    pyarrow.parquet.write_table(table, beside)
    _settle(beside, path)


def write_text_whole(text: str, path: Path) -> None:
    """The same for a text file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    _settle(beside, path)


def join(parts: Parts, target: Path) -> None:
    """All results in order as one file: Parquet, or JSON lines by its name. Memory holds a part."""
    import pyarrow.parquet

    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    tables = (pyarrow.parquet.read_table(parts.result(part)) for part in range(parts.count))
    if target.suffix == ".parquet":
        first = next(tables)
        with pyarrow.parquet.ParquetWriter(beside, first.schema) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)
    else:
        with beside.open("w", encoding="utf-8") as file:
            for table in tables:
                for row in table.to_pylist():
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    _settle(beside, target)


def _settle(beside: Path, path: Path) -> None:
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    beside.replace(path)
