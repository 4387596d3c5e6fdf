"""Text with accents and typographic signs made plain, and the way back to its own places."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_PLAIN = {
    "’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "“": '"', "”": '"',
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "−": "-",
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
    "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ß": "ss", "ı": "i",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Folded:
    """``text`` is plain; ``places`` gives each of its characters' place in the original.

    ``places`` has one more entry than ``text``, for the end, and is a range where nothing moved.
    """

    text: str
    places: Sequence[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters from ``start`` to ``end`` stand in the original text."""
        return self.places[start], self.places[end]


def fold(text: str) -> Folded:
    """The text without accents, with plain quotes and hyphens; its case stays.

    Decomposition is Unicode's NFKD (UAX #15) without the combining marks; letters that it leaves
    whole (ø, æ, ß) are written out.
    """
    if text.isascii():
        return Folded(text, range(len(text) + 1))
    plain: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for part in _folded(character):
            plain.append(part)
            places.append(place)
    return Folded("".join(plain), (*places, len(text)))


def _folded(character: str) -> str:
    if character.isascii():
        return character
    if character in _PLAIN:
        return _PLAIN[character]
    decomposed = unicodedata.normalize("NFKD", character)
    return "".join(part for part in decomposed if not unicodedata.combining(part))
