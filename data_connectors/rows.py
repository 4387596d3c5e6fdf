"""From a row of any source to an example, or to a reject that says why not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from data_connectors.columns import Columns
from shared.records import OUT_OF_SCOPE, Example, Reject, SplitName

SPLIT_NAMES_USED: Mapping[str, SplitName] = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "gate": "gate",
    "test": "test", "testing": "test",
}  # fmt: skip
OUT_OF_SCOPE_NAMES = frozenset({"oos", "out_of_scope", "out-of-scope", "out of scope"})

LONGEST_LABEL = 120
"""Characters of a label, as in the API; a longer one is a text in the wrong place."""

LONGEST_REJECTED_VALUE = 1_000
"""Characters of a rejected value that are kept."""

NOTHING_ELSE: Mapping[str, Any] = MappingProxyType({})
"""The details of every example that has none: one object, not one an example."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as its source gave it. ``fault`` says why it cannot be used, when that is known."""

    line: int
    values: Mapping[str, Any]
    fault: str | None = None


def canonical_label(label: str) -> str:
    """The label stripped; every usual spelling of out-of-scope becomes ``OUT_OF_SCOPE``."""
    label = label.strip()
    return OUT_OF_SCOPE if label.casefold() in OUT_OF_SCOPE_NAMES else label


def example_or_reason(values: Mapping[str, Any], columns: Columns) -> Example | str:
    """The example that a row holds, or the reason why it holds none."""
    text = cell_text(values.get(columns.text))
    label = cell_text(values.get(columns.label))
    if text is None:
        return f"the text is a {type(values[columns.text]).__name__}, not a text"
    if label is None:
        return f"the label is a {type(values[columns.label]).__name__}, not a name"
    text, label = text.strip(), canonical_label(label)
    if not text:
        return "the text is blank"
    if not label:
        return "the label is blank"
    if len(label) > LONGEST_LABEL:
        return f"the label is longer than {LONGEST_LABEL} characters"
    for value in (text, label):
        if fault := unusable_characters(value):
            return fault
    split: SplitName | None = None
    if columns.split and (stated := (cell_text(values.get(columns.split)) or "").strip()):
        split = SPLIT_NAMES_USED.get(stated.casefold())
        if split is None:
            return f"the split is {stated[:40]!r}, not one of train, validation, gate, test"
    kept = {
        name: cell
        for name, column in columns.kept.items()
        if (cell := (cell_text(values.get(column)) or "").strip())
    }
    return Example(text, label, split, MappingProxyType(kept) if kept else NOTHING_ELSE)


def unusable_characters(value: str) -> str | None:
    """Why no text may hold these characters, or None where all is well."""
    if "\x00" in value:
        return "it holds a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "it holds bytes or half characters that are not valid text"
    return None


def cell_text(value: Any) -> str | None:
    """A cell as text; blank for a missing value; None for a list or an object."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return None if isinstance(value, list | tuple | dict) else str(value)


def reject(row: Row, reason: str) -> Reject:
    """The reject of a row, long values cut, everything fit for JSON."""
    return Reject(row.line, reason, {str(k): _keepable(v) for k, v in row.values.items()})


def _keepable(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    text = value if isinstance(value, str) else str(value)
    return text[:LONGEST_REJECTED_VALUE].encode(errors="backslashreplace").decode()


def examples_and_rejects(rows: Iterable[Row], columns: Columns) -> Iterable[Example | Reject]:
    """Every row in turn, as one or the other."""
    for row in rows:
        outcome = row.fault or example_or_reason(row.values, columns)
        yield reject(row, outcome) if isinstance(outcome, str) else outcome
