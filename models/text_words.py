"""The words of a text, and the weights of word pieces summed over them. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from shared.records import TokenAttribution

_NO_SPACES: Final = "\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese, Japanese
_MARKS: Final = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0eff"  # accents, vowels
)
_LETTERS: Final = rf"(?:[^\W{_NO_SPACES}]|[{_MARKS}])+"
WORD: Final = re.compile(rf"[{_NO_SPACES}]|{_LETTERS}(?:['’-]{_LETTERS})*|[^\w\s]")


def merge_pieces(
    text: str, offsets: Sequence[tuple[int, int]], weights: Sequence[float]
) -> list[TokenAttribution]:
    """The weights of word pieces, summed over the words of the text that they stand in.

    ``offsets`` are each piece's start and end in the text, empty for special tokens. Words that
    start behind the last piece are left out; a word without a piece of its own weighs nothing.
    """
    words = list(WORD.finditer(text))
    totals = [0.0] * len(words)
    position = seen = 0
    for (start, end), weight in zip(offsets, weights, strict=True):
        piece = text[start:end]
        if not piece.strip():
            continue
        start += len(piece) - len(piece.lstrip())
        while position + 1 < len(words) and words[position + 1].start() <= start:
            position += 1
        totals[position] += weight
        seen = max(seen, end)
    return [
        TokenAttribution(word[0], total)
        for word, total in zip(words, totals, strict=True)
        if word.start() < seen
    ]
