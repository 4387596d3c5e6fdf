"""Companies that somebody names in a request, found in a text beside those that are known."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apps.finance.entities.companies import Company
from apps.finance.entities.linking import LinkedCompany
from apps.finance.records import StoryText
from apps.finance.scoring.scorer import Linker


class NamingLinker:
    """Links what ``linker`` links, and each of the names where it stands as whole words.

    A place that belongs to a known company is not given away; of two names that overlap the
    longer one has the place. A name's id is ``asked:`` and its number, counted from 1.
    """

    def __init__(self, linker: Linker, names: Sequence[str]) -> None:
        self._linker = linker
        self._names = list(dict.fromkeys(names))

    def link(self, story: StoryText) -> list[LinkedCompany]:
        """The known companies of a story, then the named ones, the longest name first."""
        found = self._linker.link(story)
        taken = [span for company in found for span in company.spans]
        for number, name in sorted(enumerate(self._names, 1), key=lambda one: -len(one[1])):
            if not re.search(r"\w", name):
                continue
            free = tuple(span for span in spans_of(name, story.whole) if _is_free(span, taken))
            if free:
                taken += free
                company = Company(id=f"asked:{number}", name=name)
                in_title = free[0][0] < len(story.title)
                found.append(LinkedCompany(company, free, relevance=1.0, in_title=in_title))
        return found


def spans_of(name: str, text: str) -> tuple[tuple[int, int], ...]:
    """Where a name stands in a text as whole words, whatever its case."""
    pattern = rf"(?<!\w){re.escape(name)}(?!\w)"
    return tuple(found.span() for found in re.finditer(pattern, text, re.IGNORECASE))


def _is_free(span: tuple[int, int], taken: Sequence[tuple[int, int]]) -> bool:
    return not any(span[0] < end and start < span[1] for start, end in taken)
