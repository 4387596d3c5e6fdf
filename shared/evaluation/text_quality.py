"""Faults of the texts themselves: unseen characters, cut ends, writing the encoder cannot read."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.findings import Finding, excerpt
from shared.evaluation.languages import language_of, script_of

LEAST_UNKNOWN_SHARE: Final = 0.1
"""Share of unknown word pieces in a script from which the encoder does not know that script."""

UNKNOWN_TEXT_SHARE: Final = 0.5
"""Share of unknown word pieces from which a single text is reported."""

LETTERS_A_PIECE: Final = {"Han": 0.8, "Latin": 2.6}
FEWEST_LETTERS_A_PIECE: Final = 1.6
"""Below so many letters a word piece, an encoder spells a script instead of reading it.

Measured with the English MiniLM: English 3.6; German, French, Spanish 2.2 to 2.4; Polish, Turkish,
Vietnamese 1.7 to 1.8; Russian, Greek, Arabic, Hindi 0.9 to 1.1. Chinese has one letter a piece in
encoders that know it.
"""

_PLAIN_CONTROLS: Final = frozenset("\t\n\r")
_JOINERS: Final = frozenset("\u200c\u200d")  # part of emoji, Persian and Indic writing
_GARBLED: Final = re.compile("Ã[\u0080-\u00bf]|Â[\u00a0-\u00bf]|â€[™œ\u009d˜“”¦]|\ufffd")


def invisible_characters(texts: Sequence[str]) -> list[Finding]:
    """Control and format characters that nobody sees but the model: one finding a character.

    Joiners next to a letter or symbol that needs them are left alone.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        if not text.isascii() or not text.isprintable():
            for character in sorted(_invisible(text)):
                rows[character].append(row)
    return [
        Finding(
            "invisible_character",
            "warning",
            f"{_count(len(found), 'text')} {'holds' if len(found) == 1 else 'hold'} "
            f"{_name(character)}",
            tuple(found),
            {"character": f"U+{ord(character):04X}", "texts": len(found)},
        )
        for character, found in sorted(rows.items(), key=lambda item: -len(item[1]))
    ]


def garbled_characters(texts: Sequence[str]) -> list[Finding]:
    """Texts that were read in a wrong encoding: one finding, or none."""
    rows = [row for row, text in enumerate(texts) if _GARBLED.search(text)]
    if not rows:
        return []
    message = (
        f"{_count(len(rows), 'text')} read as if decoded wrongly, such as "
        f'"{excerpt(texts[rows[0]])}": read the file in its own encoding'
    )
    return [Finding("garbled_text", "warning", message, tuple(rows))]


def truncated_texts(texts: Sequence[str], pieces: NDArray[np.int_], longest: int) -> list[Finding]:
    """Texts of more word pieces (int [n]) than the ``longest`` that the encoder reads."""
    rows = np.flatnonzero(pieces > longest)
    if not len(rows):
        return []
    row = int(rows[np.argmax(pieces[rows])])
    message = (
        f"{_count(len(rows), 'text')} longer than the {longest} word pieces that the encoder "
        f'reads: the rest is cut. The longest has {pieces[row]}: "{excerpt(texts[row])}"'
    )
    details = {"longest": int(pieces[row]), "limit": longest}
    return [Finding("truncated_text", "warning", message, tuple(map(int, rows)), details)]


def unknown_writing(
    texts: Sequence[str], pieces: NDArray[np.int_], unknown: NDArray[np.int_]
) -> list[Finding]:
    """Scripts, languages and single texts that the encoder's word pieces do not cover.

    ``pieces`` and ``unknown`` (int [n]) count each text's word pieces and those of them that
    stand for "unknown". Texts are grouped by script and, in Latin script, by language.
    """
    groups: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    wordless: list[int] = []
    for row, text in enumerate(texts):
        script = script_of(text)
        if script is not None:
            groups[script, language_of(text) if script == "Latin" else None].append(row)
        elif not any(character.isdigit() for character in text):
            wordless.append(row)
    findings, told = [], set[int]()
    for (script, language), members in sorted(groups.items(), key=lambda item: -len(item[1])):
        finding = _unknown_group(script, language, members, texts, pieces, unknown)
        if finding is not None:
            findings.append(finding)
            told.update(members)
    shares = unknown / np.maximum(pieces, 1)
    rows = [int(row) for row in np.flatnonzero(shares >= UNKNOWN_TEXT_SHARE) if row not in told]
    if rows:
        message = (
            f"{_count(len(rows), 'text')} with {UNKNOWN_TEXT_SHARE:.0%} or more word pieces that "
            f'the encoder does not know, such as "{excerpt(texts[rows[0]])}"'
        )
        findings.append(Finding("unknown_words", "warning", message, tuple(rows)))
    if wordless:
        message = f"{_count(len(wordless), 'text')} without a letter or digit"
        findings.append(Finding("no_words", "info", message, tuple(wordless)))
    return findings


def _unknown_group(
    script: str,
    language: str | None,
    rows: Sequence[int],
    texts: Sequence[str],
    pieces: NDArray[np.int_],
    unknown: NDArray[np.int_],
) -> Finding | None:
    if script == "Latin" and language is None:
        return None  # names, typing errors and emoji: nothing to say of a language
    total = max(int(pieces[list(rows)].sum()), 1)
    share = float(unknown[list(rows)].sum()) / total
    letters = sum(character.isalpha() for row in rows for character in texts[row]) / total
    spelled = letters < LETTERS_A_PIECE.get(script, FEWEST_LETTERS_A_PIECE)
    if not spelled and share < LEAST_UNKNOWN_SHARE:
        return None
    one = len(rows) == 1
    reason = (
        f"{share:.0%} of {'its' if one else 'their'} word pieces are unknown to it"
        if share >= LEAST_UNKNOWN_SHARE
        else f"it cuts {'it' if one else 'them'} into pieces of {letters:.1f} letters"
    )
    written = f"in {language}" if language else f"in {script} script"
    first = "It is" if one else "The first is"
    message = (
        f"{_count(len(rows), 'text')} {written}, which the encoder seems not to know: "
        f'{reason}. {first} "{excerpt(texts[rows[0]])}"'
    )
    kind = "unknown_language" if language else "unknown_script"
    details = {"script": script, "language": language, "unknown_share": share, "letters": letters}
    return Finding(kind, "warning", message, tuple(rows), details)


def _invisible(text: str) -> set[str]:
    found = set()
    for position, character in enumerate(text):
        if character in _PLAIN_CONTROLS or unicodedata.category(character) not in _UNSEEN:
            continue
        if character in _JOINERS and 0 < position < len(text) - 1:
            before, after = text[position - 1], text[position + 1]
            if _takes_joiners(before) and _takes_joiners(after):
                continue
        found.add(character)
    return found


_UNSEEN: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})


def _takes_joiners(character: str) -> bool:
    return ord(character) > 0x05FF and unicodedata.category(character) not in _UNSEEN


def _name(character: str) -> str:
    kind = "the control character" if unicodedata.category(character) == "Cc" else "the character"
    name = unicodedata.name(character, "").lower()
    return f"{kind} U+{ord(character):04X}" + (f" ({name})" if name else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
