"""Precision and recall of linking, by (headline, company) pairs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.finance.entities.linking import CompanyLinker
from apps.finance.records import StoryText
from shared.errors import DataError, UnreadableFile


@dataclass(frozen=True, slots=True)
class LabelledHeadline:
    """A headline and the ids of the companies that it speaks of. ``trap``: made to mislead."""

    id: int
    story: StoryText
    companies: frozenset[str]
    split: str
    trap: bool


@dataclass(frozen=True, slots=True)
class Confusion:
    """A pair that linking got wrong: found and not there (``wrong``), or there and not found."""

    headline: LabelledHeadline
    company_id: str
    wrong: bool


@dataclass(frozen=True, slots=True)
class LinkingQuality:
    """Pairs counted over headlines. Precision is 1 where nothing was found, recall where nothing
    was to be found."""

    headlines: int
    right: int
    confusions: tuple[Confusion, ...]

    @property
    def precision(self) -> float:
        """The share of found pairs that are right."""
        found = self.right + sum(one.wrong for one in self.confusions)
        return self.right / found if found else 1.0

    @property
    def recall(self) -> float:
        """The share of labelled pairs that were found."""
        labelled = self.right + sum(not one.wrong for one in self.confusions)
        return self.right / labelled if labelled else 1.0


def read_headlines(path: Path) -> list[LabelledHeadline]:
    """Labelled headlines from a file of JSON lines: id, title, text, companies, split, trap.

    Raises UnreadableFile and DataError, with the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"cannot read {path}: {error}", path=str(path)) from error
    return [_as_headline(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def measure(linker: CompanyLinker, headlines: Iterable[LabelledHeadline]) -> LinkingQuality:
    """Link each headline and compare with its labels."""
    right, count = 0, 0
    confusions: list[Confusion] = []
    for headline in headlines:
        count += 1
        found = {one.company.id for one in linker.link(headline.story)}
        right += len(found & headline.companies)
        confusions += _confusions(headline, sorted(found - headline.companies), wrong=True)
        confusions += _confusions(headline, sorted(headline.companies - found), wrong=False)
    return LinkingQuality(headlines=count, right=right, confusions=tuple(confusions))


def _confusions(
    headline: LabelledHeadline, companies: Sequence[str], *, wrong: bool
) -> list[Confusion]:
    return [Confusion(headline, company, wrong) for company in companies]


def _as_headline(line: str, place: str) -> LabelledHeadline:
    try:
        row = json.loads(line)
        return LabelledHeadline(
            id=row["id"],
            story=StoryText(row["title"], row["text"]),
            companies=frozenset(row["companies"]),
            split=row["split"],
            trap=row["trap"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{place} is no labelled headline: {error!r}", place=place) from error
