"""Which columns of a table hold the text, the label and the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from shared.errors import UnknownColumn

TEXT_NAMES = (
    "text", "utterance", "message", "sentence", "question", "query", "content", "body",
    "comment", "request", "input", "phrase", "headline", "review", "description",
)  # fmt: skip
LABEL_NAMES = (
    "label", "intent", "category", "class", "sentiment", "target", "topic", "tag",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the text, the label and, where there is one, the split.

    ``kept`` maps names in an example's details to further columns that go along there.
    """

    text: str
    label: str
    split: str | None = None
    kept: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def find_columns(
    names: Sequence[str],
    *,
    where: str,
    text: str | None = None,
    label: str | None = None,
    split: str | None = None,
    keep: Sequence[str] = (),
) -> Columns:
    """The columns to read: those named, or those with a usual name, whatever its case.

    Of the columns in ``keep`` those that are there are kept, in any case.

    Raises UnknownColumn, with all column names, when one is not there or stands twice.
    """
    return Columns(
        text=find_column(names, text, TEXT_NAMES, "text", where),
        label=find_column(names, label, LABEL_NAMES, "label", where),
        split=find_optional_column(names, split, ("split",), "split", where),
        kept={wanted: name for wanted in keep for name in names if _fold(name) == _fold(wanted)},
    )


def find_optional_column(
    names: Sequence[str], wanted: str | None, usual: Sequence[str], role: str, where: str
) -> str | None:
    """As ``find_column``; None where no column is named and none has a usual name."""
    if wanted is None and not _usual(names, usual):
        return None
    return find_column(names, wanted, usual, role, where)


def find_column(
    names: Sequence[str], wanted: str | None, usual: Sequence[str], role: str, where: str
) -> str:
    """The column ``wanted``, or the one with the first usual name that is there, in any case.

    Raises UnknownColumn, with all column names, when it is not there or stands twice.
    """
    there = ", ".join(repr(name) for name in names) or "none"
    if wanted is None:
        found = _usual(names, usual)
        if not found:
            raise UnknownColumn(
                f"{where}: no column looks like the {role}; the columns are {there}. Name one with"
                f" --{role}-column; if these are no names, the first line must name the columns",
                where=where, role=role, columns=list(names),
            )  # fmt: skip
        wanted = found[0]
    found = [name for name in names if name == wanted] or [
        name for name in names if _fold(name) == _fold(wanted)
    ]
    if len(found) != 1:
        problem = "there is no column" if not found else "more than one column is called"
        raise UnknownColumn(
            f"{where}: {problem} {wanted!r}; the columns are {there}",
            where=where, role=role, column=wanted, columns=list(names),
        )  # fmt: skip
    return found[0]


def _usual(names: Sequence[str], usual: Sequence[str]) -> list[str]:
    """The columns with the first of the usual names that is there."""
    for name in usual:
        if found := [column for column in names if _fold(column) == name]:
            return found
    return []


def _fold(name: str) -> str:
    return name.strip().casefold()
