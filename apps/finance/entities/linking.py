"""Which companies a story speaks of, and where. A missed company costs less than a wrong one."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apps.finance.entities.boilerplate import boilerplate
from apps.finance.entities.evidence import Context, writing_of
from apps.finance.entities.folding import Folded, fold
from apps.finance.entities.gazetteer import Company
from apps.finance.entities.names import NameFound, NameIndex, other_names
from apps.finance.entities.relevance import QUOTED, relevance, speaks_of_others
from apps.finance.entities.tickers import TickerFound, TickerIndex
from apps.finance.records import StoryText


@dataclass(frozen=True, slots=True)
class LinkedCompany:
    """A company in a story: where in ``StoryText.whole``, and how much the story is about it.

    ``spans`` are (start, end), in order, and do not overlap, within this company or with another's.
    ``relevance`` is in (0, 1].
    """

    company: Company
    spans: tuple[tuple[int, int], ...]
    relevance: float
    in_title: bool


class CompanyLinker:
    """Links stories to companies by their names and tickers; safe to call from several threads.

    Whole words; the longest name at a place wins, and a longer phrase that is no company hides a
    name within it. A name that is also an ordinary word needs the company's ticker or another of
    its names in the story, or words of business beside it.
    """

    def __init__(self, companies: Iterable[Company]) -> None:
        known = tuple(companies)
        self._names = NameIndex(known, other_names())
        self._tickers = TickerIndex(known)

    def link(self, story: StoryText) -> list[LinkedCompany]:
        """The companies of a story, the most relevant first."""
        whole = fold(story.whole)
        title_end = len(fold(story.title).text)
        spans = self._spans(whole, title_end)
        if not spans:
            return []
        alone = len(spans) == 1
        voices = {
            id
            for id, (_, places) in spans.items()
            if speaks_of_others(id, whole.text, places, alone=alone)
        }
        subjects = sum(len(places) for id, (_, places) in spans.items() if id not in voices)
        linked = []
        for id, (company, places) in spans.items():
            number = relevance(
                places,
                title_end=max(1, title_end),
                length=len(whole.text),
                mentions=subjects + (len(places) if id in voices else 0),
            )
            linked.append(
                LinkedCompany(
                    company=company,
                    spans=tuple(whole.original(start, end) for start, end in places),
                    relevance=round(number * (QUOTED if id in voices else 1), 4),
                    in_title=places[0][0] < title_end,
                )
            )
        return sorted(linked, key=lambda one: (-one.relevance, one.spans))

    def _spans(
        self, whole: Folded, title_end: int
    ) -> dict[str, tuple[Company, list[tuple[int, int]]]]:
        text = whole.text
        writing = writing_of(text[:title_end])
        names = list(self._names.find(text, writing))
        tickers = list(self._tickers.find(text))
        if not names and not tickers:
            return {}
        hidden = boilerplate(text)
        context = Context(text, title_end, writing)
        names = [
            found for found in names if not _within(found, hidden) and not context.refutes(found)
        ]
        kept = _decided(names, tickers, context)
        spans: dict[str, tuple[Company, list[tuple[int, int]]]] = {}
        end = 0
        for found in sorted(kept, key=lambda one: (one.start, -one.end)):
            if found.start >= end:
                spans.setdefault(found.company.id, (found.company, []))[1].append(
                    (found.start, found.end)
                )
                end = found.end
        return spans


def _decided(
    names: list[NameFound], tickers: list[TickerFound], context: Context
) -> list[NameFound | TickerFound]:
    """The finds that mean a company: those sure by themselves, then those that these make sure."""
    named = {found.company.id: found.start for found in reversed(names)}
    sure: list[NameFound | TickerFound] = [
        found
        for found in tickers
        if found.sure or named.get(found.company.id, found.end) < found.start
    ]
    doubtful = []
    for found in names:
        if not found.needs_context or context.supports(found):
            sure.append(found)
        else:
            doubtful.append(found)
    while doubtful:
        companies = {found.company.id for found in sure}
        sure.sort(key=_start)
        won = {
            found
            for found in doubtful
            if found.company.id in companies or _listed_with_a_neighbour(found, sure, context)
        }
        if not won:
            break
        sure += won
        doubtful = [found for found in doubtful if found not in won]
    return sure


def _listed_with_a_neighbour(
    found: NameFound, sure: Sequence[NameFound | TickerFound], context: Context
) -> bool:
    """Whether the sure find before this one, or the one after it, stands with it in a list."""
    place = bisect(sure, found.start, key=_start)
    before, after = sure[place - 1 : place], sure[place : place + 1]
    return any(context.joined(other.end, found.start) for other in before) or any(
        context.joined(found.end, other.start) for other in after
    )


def _start(found: NameFound | TickerFound) -> int:
    return found.start


def _within(found: NameFound, hidden: list[tuple[int, int]]) -> bool:
    return any(start <= found.start and found.end <= end for start, end in hidden)
