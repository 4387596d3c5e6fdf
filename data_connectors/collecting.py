"""From examples and rejects, as they come, to a data set and a rejects file."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TextIO

from shared.errors import EmptyData, SingleClass
from shared.records import Dataset, Example, Reject


class RejectsFile:
    """Rejected rows as JSON lines ``{"line", "reason", "row"}``, written as they come.

    The file is there after a run only when that run rejected something: it appears whole at
    the end, and one left by an earlier run goes away. Without a path nothing is written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> RejectsFile:
        return self

    def add(self, reject: Reject) -> None:
        """Write one more."""
        if self._path is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part(self._path).open("w", encoding="utf-8")
        self._file.write(json.dumps(asdict(reject), ensure_ascii=False) + "\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._path is None:
            return
        if self._file is None:
            self._path.unlink(missing_ok=True)
            return
        self._file.close()
        os.replace(self._part(self._path), self._path)

    @staticmethod
    def _part(path: Path) -> Path:
        return path.with_name(f"{path.name}.{os.getpid()}.part")


def collect(
    outcomes: Iterable[Example | Reject],
    *,
    name: str,
    rejects: Path | None = None,
    single_class_ok: bool = False,
) -> Dataset:
    """A data set from examples and rejects; the rejects go to the file ``rejects`` too.

    Raises EmptyData when no row was usable, and SingleClass when all examples belong to one
    class (out-of-scope is none), unless ``single_class_ok``.
    """
    examples: list[Example] = []
    rejected: list[Reject] = []
    with RejectsFile(rejects) as rejects_file:
        for outcome in outcomes:
            if isinstance(outcome, Reject):
                rejected.append(outcome)
                rejects_file.add(outcome)
            else:
                examples.append(outcome)
    if not examples:
        raise EmptyData(_why_empty(name, rejected), name=name, rejects=len(rejected))
    dataset = Dataset(name, tuple(examples), tuple(rejected))
    if len(dataset.labels) < 2 and not single_class_ok:
        found = repr(dataset.labels[0]) if dataset.labels else "out-of-scope alone"
        raise SingleClass(
            f"{name}: all {len(examples)} examples have one class ({found}): there is nothing"
            " to tell apart. Add examples of at least one more class",
            name=name, labels=list(dataset.labels), examples=len(examples),
        )  # fmt: skip
    return dataset


def _why_empty(name: str, rejected: Sequence[Reject]) -> str:
    if not rejected:
        return f"{name}: there are no rows in it"
    (reason, count) = Counter(reject.reason for reject in rejected).most_common(1)[0]
    return (
        f"{name}: none of its {len(rejected)} rows can be used; in {count} of them {reason}"
        f" (first on line {rejected[0].line})"
    )
