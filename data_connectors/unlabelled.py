"""Texts without labels, for the methods that learn from them: of any source, labels not needed."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_connectors.columns import TEXT_NAMES, Columns, find_column, find_optional_column
from data_connectors.delimited import physical_lines
from data_connectors.detection import detect_encoding
from data_connectors.rows import SPLIT_NAMES_USED, Row, cell_text, unusable_characters
from data_connectors.sources import NOTHING_SHIPPED, not_there
from data_connectors.tables import is_address, iterate_table, shown_source
from shared.errors import EmptyData, UnreadableFile
from shared.settings import Settings

if TYPE_CHECKING:
    from data_connectors.downloads import Progress

PLAIN_TEXT = frozenset({".txt", ".text"})
"""Files that hold one text a line and no table."""


@dataclass(frozen=True, slots=True)
class UnlabelledTexts:
    """Texts in the order of their source, which ``name`` tells. ``rejected`` rows held none.

    ``first_reason`` says where and why the first row was rejected; None where none was.
    """

    name: str
    texts: tuple[str, ...]
    rejected: int = 0
    first_reason: str | None = None

    def notice(self) -> str:
        """A line for people: how many texts there are, and what was rejected."""
        tail = f", {self.rejected:,} rows rejected ({self.first_reason})" if self.rejected else ""
        return f"{len(self.texts):,} unlabelled texts read from {self.name}{tail}"


def load_texts(
    source: str,
    *,
    settings: Settings,
    shipped: Mapping[str, Path] = NOTHING_SHIPPED,
    text_column: str | None = None,
    query: str | None = None,
    progress: Progress | None = None,
) -> UnlabelledTexts:
    """The texts of ``source``, whatever labels stand beside them.

    A source is named as for ``sources.load_dataset``: a public data set, of which the training
    split alone is read; a sample in ``shipped``; an SQLAlchemy address with ``query``; or a file.
    A ``.txt`` file holds one text a line. Of a table the text column is read, and rows whose
    ``split`` column says other than train are left out.

    ``text_column`` names that column where the table has one of that name; else it is guessed.

    Raises EmptyData when no text is left, and what the connectors raise.
    """
    from data_connectors.public_datasets import PUBLIC_DATASETS

    if source in PUBLIC_DATASETS:
        return _of_public(source, settings, progress)
    path = shipped.get(source, Path(source))
    if not is_address(source) and source not in shipped and not path.exists():
        raise not_there(source, [*sorted(shipped), *sorted(PUBLIC_DATASETS)])
    if path.suffix.lower() in PLAIN_TEXT and not is_address(source):
        return _collected(_lines(path), str(source))
    table = str(source) if is_address(source) else path
    return _collected(_cells(table, text_column, query), shown_source(source))


def iterate_texts(
    source: str,
    *,
    settings: Settings,
    shipped: Mapping[str, Path] = NOTHING_SHIPPED,
    text_column: str | None = None,
    query: str | None = None,
) -> Iterator[tuple[int, str, str]]:
    """Of each row of ``source`` its line, its text, and what is wrong with it ("" for nothing).

    All rows of any split, in memory that does not grow with a file. Of a public data set the
    training texts, numbered from 1. Sources and errors as in ``load_texts``.
    """
    from data_connectors.public_datasets import PUBLIC_DATASETS

    if source in PUBLIC_DATASETS:
        texts = _of_public(source, settings, None).texts
        yield from ((number, text, "") for number, text in enumerate(texts, 1))
        return
    path = shipped.get(source, Path(source))
    if not is_address(source) and source not in shipped and not path.exists():
        raise not_there(source, [*sorted(shipped), *sorted(PUBLIC_DATASETS)])
    if path.suffix.lower() in PLAIN_TEXT and not is_address(source):
        rows = _lines(path)
    else:
        table = str(source) if is_address(source) else path
        rows = _cells(table, text_column, query, every_split=True)
    for line, cell, fault in rows:
        text = (cell or "").strip()
        blank = "" if text else "the text is blank"
        yield line, text, fault or blank or unusable_characters(text) or ""


def _of_public(source: str, settings: Settings, progress: Progress | None) -> UnlabelledTexts:
    from data_connectors.downloads import ProgressLine
    from data_connectors.public_datasets import load_public_dataset

    found = load_public_dataset(
        source,
        folder=settings.data,
        cache=settings.home / "datasets",
        progress=progress or ProgressLine(sys.stderr),
    )
    texts = tuple(e.text for e in found.examples if e.split in ("train", None))
    if not texts:
        raise EmptyData(f"{source} has no training text", name=source)
    return UnlabelledTexts(source, texts)


def _lines(path: Path) -> Iterator[tuple[int, str | None, str]]:
    """Of each line its number, its text, and what is wrong with it."""
    encoding = detect_encoding(path)
    try:
        with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
            for line in physical_lines(file):
                fault = "the line is too long" if line.too_long else ""
                if fault or line.text.strip():
                    yield line.number, line.text.strip(), fault
    except UnicodeError as error:
        raise UnreadableFile(f"{path} is not {encoding}: {error}", path=str(path)) from error


def _cells(
    table: str | Path, text_column: str | None, query: str | None, *, every_split: bool = False
) -> Iterator[tuple[int, str | None, str]]:
    """Of each row that trains (or every one) its line, the cell of its text, and its fault."""
    found: list[Columns] = []

    def find(names: Sequence[str]) -> Columns:
        wanted = text_column if text_column in names else None
        text = find_column(names, wanted, TEXT_NAMES, "text", shown_source(table))
        split = find_optional_column(names, None, ("split",), "split", shown_source(table))
        # A row needs no label: the text's own column stands where one is asked for.
        found.append(Columns(text, text, split))
        return found[-1]

    rows = iterate_table(table, find, query=query, named=(text_column, None))
    first = next(rows, None)
    for row in itertools.chain([] if first is None else [first], rows):
        if every_split or _trains(row, found[-1].split):
            yield row.line, cell_text(row.values.get(found[-1].text)), row.fault or ""


def _trains(row: Row, split: str | None) -> bool:
    stated = (cell_text(row.values.get(split)) or "").strip().casefold() if split else ""
    return not stated or SPLIT_NAMES_USED.get(stated) == "train"


def _collected(rows: Iterable[tuple[int, str | None, str]], name: str) -> UnlabelledTexts:
    texts: list[str] = []
    rejected, first_reason = 0, None
    for line, cell, fault in rows:
        text = (cell or "").strip()
        reason = fault or ("the text is blank" if not text else unusable_characters(text))
        if reason:
            rejected += 1
            first_reason = first_reason or f"line {line}: {reason}"
        else:
            texts.append(text)
    if not texts:
        why = f" ({rejected} rows rejected; {first_reason})" if rejected else ""
        raise EmptyData(f"{name}: there is no text in it{why}", name=name, rejects=rejected)
    return UnlabelledTexts(name, tuple(texts), rejected, first_reason)
