"""A company marked in a text: how one model is asked about each company of a sentence.

The target stands in square brackets, each mention of it; a text without marks asks for the
sentiment of the whole. Measured on SEntFiN (docs/tried.md) against the company as a second
sentence and against no mark at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

OPENING, CLOSING = "[ ", " ]"


def mark(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with each span in brackets. Spans are (start, end) and do not overlap.

    Brackets that the text itself has become round ones first, so that only marks are square.
    ValueError for a span outside the text or one that overlaps another.
    """
    plain = text.replace("[", "(").replace("]", ")")
    result, done = "", 0
    for start, end in sorted(spans):
        if not done <= start < end <= len(plain):
            raise ValueError(f"span {(start, end)} overlaps another or leaves the text")
        result += plain[done:start] + OPENING + plain[start:end] + CLOSING
        done = end
    return result + plain[done:]


def unmark(text: str) -> str:
    """A marked text as it was, but for square brackets of its own, which stay round."""
    return text.replace(OPENING, "").replace(CLOSING, "")


def mark_name(text: str, name: str) -> str | None:
    """The text with every occurrence of the name marked; None when there is none.

    Whole words where the name stands as one; else the first place where its letters stand, as in
    a headline that lost the apostrophe of a possessive.
    """
    pattern = rf"(?<!\w){re.escape(name)}(?!\w)"
    spans = [found.span() for found in re.finditer(pattern, text, re.IGNORECASE)]
    if not spans and (found := re.search(re.escape(name), text, re.IGNORECASE)):
        spans = [found.span()]
    return mark(text, spans) if spans else None
