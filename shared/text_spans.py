"""Stretches of a text: found in a copy of equal length, replaced in the text itself."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

Span = tuple[int, int]
"""Where a stretch starts, and the position behind its end."""

_FULL_WIDTH = {"＠": "@", "＋": "+", "－": "-", "．": ".", "（": "(", "）": ")"}


def plain_digits(text: str) -> str:
    """The text with the digits of all scripts as ASCII digits, and full-width signs as plain ones.

    The length stays, so that positions found in the copy hold in the text.
    """
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.decimal(character))
        if character.isdecimal()
        else _FULL_WIDTH.get(character, character)
        for character in text
    )


def replace_spans(text: str, spans: Iterable[Span], placeholder: str) -> str:
    """The text with each span, or each group of overlapping spans, replaced by the placeholder."""
    pieces: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            pieces += (text[done:start], placeholder)
        done = max(done, end)
    if not pieces:
        return text
    pieces.append(text[done:])
    return "".join(pieces)
