"""Where names stand in a text: whole words, the longest at each place, upper case where it must.

An index by first word, built once; a text costs one look-up a word, however many names there are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from apps.finance.entities.folding import fold
from apps.finance.entities.gazetteer import Company
from apps.finance.entities.vocabulary import WORDS_IN_LOWER_CASE

WORD = re.compile(r"\w+")

LEAST_UPPER = 4
"""Letters a name needs to be known in capitals where the rest of the text is not in capitals."""

LEAST_LOWER = 6
"""Characters a name needs to be known by its first letters alone, or in small letters in a text
written in small letters."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How a text is written: which of its capital letters say something.

    ``capitals``: all in capitals; ``small``: a post that begins without one.
    """

    capitals: bool
    small: bool


@dataclass(frozen=True, slots=True)
class NameFound:
    """A name at [start, end) of a folded text. ``needs_context``: it can mean something else."""

    start: int
    end: int
    company: Company
    name: str
    needs_context: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    text: str
    lower: str
    company: Company | None
    name: str
    needs_context: bool

    def fits(self, written: str, writing: Writing) -> bool:
        """Whether these characters, equal but for case, may be this name."""
        if self.company is None or written == self.text:
            return True
        letters = sum(map(str.isalpha, self.text))
        if written == self.text.upper():
            return writing.capitals or letters >= LEAST_UPPER
        if (
            not self.needs_context
            and len(self.lower) >= LEAST_LOWER
            and _same_initials(written, self.text)
        ):
            return True
        if written != self.lower or self.needs_context or not writing.small:
            return False
        return len(self.lower) >= LEAST_LOWER and self.lower not in WORDS_IN_LOWER_CASE


@cache
def other_names() -> tuple[str, ...]:
    """Phrases that hold a company's name and mean something else (``other_names.txt``)."""
    source = resources.files("apps.finance.entities") / "other_names.txt"
    lines = source.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


class NameIndex:
    """Finds the names of companies, and skips the phrases that only look like them."""

    def __init__(self, companies: Iterable[Company], others: Iterable[str] = ()) -> None:
        entries: dict[str, list[_Entry]] = defaultdict(list)
        for company in companies:
            for name in company.names:
                _add(entries, name, company, name in company.needs_context)
        for phrase in others:
            _add(entries, phrase, None, False)
        self._entries = {
            first: sorted(found, key=lambda entry: -len(entry.text))
            for first, found in entries.items()
        }

    def find(self, text: str, writing: Writing) -> Iterator[NameFound]:
        """Names in a folded text, from left to right, none within another or within a phrase."""
        done = 0
        for word in WORD.finditer(text):
            start = word.start()
            if start < done or (candidates := self._entries.get(word[0].lower())) is None:
                continue
            for entry in candidates:
                end = start + len(entry.text)
                written = text[start:end]
                if written.lower() != entry.lower or not _ends_word(text, end):
                    continue
                if not entry.fits(written, writing):
                    continue
                done = end
                if entry.company is not None:
                    yield NameFound(start, end, entry.company, entry.text, entry.needs_context)
                break


def _add(
    entries: dict[str, list[_Entry]], name: str, company: Company | None, needs_context: bool
) -> None:
    text = fold(name).text.strip()
    first = WORD.search(text)
    if first is None:
        raise ValueError(f"{name!r} has no word in it")
    text = text[first.start() :]
    entries[first[0].lower()].append(_Entry(text, text.lower(), company, name, needs_context))


def _same_initials(written: str, name: str) -> bool:
    """Whether only letters within words are of another case: Spicejet, YES Bank, EasyJet."""
    words, known = written.split(), name.split()
    return len(words) == len(known) and all(
        word[0] in (one[0], one[0].upper()) for word, one in zip(words, known, strict=True)
    )


def _ends_word(text: str, end: int) -> bool:
    if end >= len(text):
        return True
    following = text[end]
    return not (following.isalnum() or following == "_" or text[end - 1] == following == "&")
