"""Regular expressions written by users, kept from running for ever.

Three guards: patterns and texts have a greatest length; a repeat inside an unbounded repeat, the
usual way to exponential time, is refused before it ever runs; and each search has a time limit.
Source: Davis et al., "The impact of regular expression denial of service (ReDoS) in practice",
2018; the engine is the package ``regex``, whose searches take a time limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import regex

MAXIMUM_PATTERN_LENGTH = 500
MAXIMUM_TEXT_LENGTH = 8_000
"""Characters of a text that are searched; what comes after them is not read."""

TIME_LIMIT = 0.25
"""Seconds that one search may take: a thousand times what an ordinary one takes."""

_MANY = 20
"""A repeat that may go this often counts as unbounded."""

_NO_WORD_CUT_BEFORE = r"(?:(?<!\w)|(?!\w))"
_NO_WORD_CUT_AFTER = r"(?:(?!\w)|(?<!\w))"
"""A match may begin and end beside punctuation, and not in the middle of a word."""

_COUNTED = regex.compile(r"\{(\d*)(,?)(\d*)\}")


class UnsuitablePattern(ValueError):
    """A pattern that is no regular expression, or one that could run for ever; says what to do."""


@dataclass(frozen=True, slots=True)
class GuardedPattern:
    """A compiled pattern that matches whole words where asked, within a time limit.

    UnsuitablePattern for a source that is empty, too long, wrong, matches the empty text, or
    repeats a repeat.
    """

    source: str
    ignore_case: bool = True
    whole_words: bool = True
    _compiled: regex.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        refuse_unsuitable(self.source)
        inner = f"(?:{self.source})"
        wrapped = f"{_NO_WORD_CUT_BEFORE}{inner}{_NO_WORD_CUT_AFTER}" if self.whole_words else inner
        try:
            regex.compile(self.source)  # on its own first: its brackets must be balanced
            compiled = regex.compile(wrapped, regex.IGNORECASE if self.ignore_case else 0)
        except regex.error as error:
            raise UnsuitablePattern(
                f"{self.source!r} is no regular expression: {error}. Correct it; a backslash "
                "before ( ) [ ] { } . * + ? | makes a character stand for itself"
            ) from error
        if compiled.fullmatch("") is not None:
            raise UnsuitablePattern(
                f"{self.source!r} matches the empty text, so it would always fire. Name at least "
                "one word that must be there"
            )
        object.__setattr__(self, "_compiled", compiled)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """(start, end) of each match in the first MAXIMUM_TEXT_LENGTH characters.

        TimeoutError when the search takes longer than TIME_LIMIT.
        """
        for found in self._compiled.finditer(text, 0, MAXIMUM_TEXT_LENGTH, timeout=TIME_LIMIT):
            yield found.span()

    def found_in(self, text: str) -> bool:
        """Whether the pattern matches anywhere; TimeoutError as in ``spans``."""
        found = self._compiled.search(text, 0, MAXIMUM_TEXT_LENGTH, timeout=TIME_LIMIT)
        return found is not None


def refuse_unsuitable(source: str) -> None:
    """UnsuitablePattern for a source that is empty, too long, or repeats a repeat."""
    if not source.strip():
        raise UnsuitablePattern("the pattern is empty. Write the words that it shall find")
    if len(source) > MAXIMUM_PATTERN_LENGTH:
        raise UnsuitablePattern(
            f"the pattern has {len(source)} characters, {MAXIMUM_PATTERN_LENGTH} are allowed. "
            "Write it as a list of shorter patterns"
        )
    if repeats_a_repeat(source):
        raise UnsuitablePattern(
            f"{source!r} has a repeat inside an unbounded repeat, as in (a+)*, and could run for "
            r"ever. Give the outer repeat a small bound: (?:\w+ ){0,4} instead of (?:\w+ )*"
        )


def repeats_a_repeat(source: str) -> bool:
    """Whether a group that holds an unbounded repeat is itself repeated without bound."""
    holds_repeat = [False]
    position = 0
    while position < len(source):
        character = source[position]
        if character == "\\":
            position += 2
        elif character == "[":
            position = _after_class(source, position)
        elif character == "(":
            holds_repeat.append(False)
            position += 1
        elif character == ")":
            inner = holds_repeat.pop() if len(holds_repeat) > 1 else False
            if inner and _is_unbounded(source, position + 1):
                return True
            holds_repeat[-1] |= inner
            position += 1
        else:
            holds_repeat[-1] |= _is_unbounded(source, position)
            position += 1
    return False


def _after_class(source: str, start: int) -> int:
    """The position behind a character class that opens at ``start``."""
    position = start + 1
    if source[position : position + 1] == "^":
        position += 1
    if source[position : position + 1] == "]":
        position += 1
    while position < len(source) and source[position] != "]":
        position += 2 if source[position] == "\\" else 1
    return position + 1


def _is_unbounded(source: str, position: int) -> bool:
    """Whether an unbounded repeat stands at this position: ``*``, ``+``, ``{2,}``, ``{0,50}``."""
    if source[position : position + 1] in ("*", "+"):
        return True
    counted = _COUNTED.match(source, position)
    if counted is None:
        return False
    least, comma, most = counted.groups()
    if comma and not most:
        return True
    return int(most or least or 0) >= _MANY
