"""How much a story is about a company: from title, position, share of mentions, and its part."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apps.finance.entities import vocabulary as words

QUOTED = 0.25
"""What is left of the relevance of a broker that speaks of another company."""

_WORDS = re.compile(r"[\w-]+")


def relevance(
    spans: Sequence[tuple[int, int]], *, title_end: int, length: int, mentions: int
) -> float:
    """A number in (0, 1].

    In the title: half for being there, a fifth for standing early, three tenths for the share of
    all ``mentions`` of companies. In the text alone: a tenth, a tenth and three tenths.
    """
    share = len(spans) / mentions
    first = spans[0][0]
    if first < title_end:
        return 0.5 + 0.2 * (1 - first / title_end) + 0.3 * share
    rest = max(1, length - title_end)
    return 0.1 + 0.1 * (1 - (first - title_end) / rest) + 0.3 * share


def speaks_of_others(
    company_id: str, text: str, spans: Sequence[tuple[int, int]], *, alone: bool
) -> bool:
    """Whether a bank or broker is there only as the voice: "Goldman Sachs analyst says", ": UBS".

    ``alone``: the story names no other company; then only analysts and ratings make it a voice.
    """
    if company_id not in words.BROKERS:
        return False
    return all(_voice(text, start, end, alone) for start, end in spans)


def _voice(text: str, start: int, end: int, alone: bool) -> bool:
    after = [word.lower() for word in _WORDS.findall(text[end : end + 40])[:2]]
    before = [word.lower() for word in _WORDS.findall(text[max(0, start - 40) : start])[-2:]]
    if after[:1] == ["s"]:
        after = after[1:]
    if after and (after[0] in words.BROKER_PEOPLE or after[0] in words.RATING):
        return True
    if after == ["starts", "coverage"]:
        return True
    if before[-1:] in (["at"], ["by"], ["from"]) and not words.BROKER_PEOPLE.isdisjoint(before):
        return True
    if before == ["according", "to"] or before[-1:] == ["says"]:
        return True
    closes = text[:start].rstrip().endswith((":", ",")) and text[end:].lstrip()[:1] in ("", "\n")
    if closes and ":" in text[:start]:
        return True
    if not alone and after and after[0] in words.BROKER_TALK:
        return True
    return not alone and start == 0 and text[end : end + 2] == ": "
