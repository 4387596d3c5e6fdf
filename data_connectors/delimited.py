"""Records of a CSV or TSV file, quoted line breaks included, that survive broken rows.

A quote that is opened and never closed would swallow the rest of a file. Here it costs one
line: when a record turns out to be broken (RFC 4180, section 2, rules 5 to 7), its first line
is given up and reading goes on at the second.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

LONGEST_LINE = 1 << 20
"""Characters of one physical line; a longer one is skipped piece by piece and rejected."""

MOST_LINES = 1_000
"""Physical lines of one record; more of them mean a quote that was never closed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line with its end. ``number`` counts from 1."""

    number: int
    text: str
    too_long: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one record and the line where it began, or the fault and the raw line."""

    line: int
    fields: list[str]
    fault: str | None = None
    raw: str = ""


class _BrokenError(Exception):
    """The record that is being read cannot be finished."""


def physical_lines(file: TextIO) -> Iterator[Line]:
    """The lines of a file opened with ``newline=""``, in bounded memory."""
    number = 0
    while text := file.readline(LONGEST_LINE):
        number += 1
        too_long = len(text) == LONGEST_LINE and text[-1] not in "\r\n"
        yield Line(number, text, too_long)
        while too_long and (rest := file.readline(LONGEST_LINE)):
            too_long = rest[-1] not in "\r\n"


class _Feed:
    """Hands physical lines to the CSV parser, and can take back those of a broken record."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self.taken: list[Line] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        if line.too_long:
            raise _BrokenError(f"the line is longer than {LONGEST_LINE:,} characters")
        if len(self.taken) > MOST_LINES:
            raise _BrokenError(f"a quote is not closed within {MOST_LINES:,} lines")
        return line.text

    def give_up_first(self) -> Line:
        first, *rest = self.taken
        self._again.extendleft(reversed(rest))
        self.taken = []
        return first


def read_records(lines: Iterator[Line], delimiter: str) -> Iterator[Record]:
    """Records in order, blank lines left out; one that cannot be parsed comes with its fault."""
    feed = _Feed(lines)
    while True:
        reader = csv.reader(feed, delimiter=delimiter, strict=True)
        try:
            for fields in reader:
                if fields:
                    yield Record(feed.taken[0].number, fields)
                feed.taken = []
            return
        except (csv.Error, _BrokenError) as error:
            first = feed.give_up_first()
            yield Record(first.number, [], _reason(str(error)), first.text)


def _reason(message: str) -> str:
    if "unexpected end of data" in message:
        return "a quote is opened and never closed"
    if "expected after" in message:
        return "text follows a closing quote"
    return message
