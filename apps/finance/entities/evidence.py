"""Whether a name that is also an ordinary word, a place or a person means the company here."""

from __future__ import annotations

import re

from apps.finance.entities import vocabulary as words
from apps.finance.entities.names import NameFound, Writing

_TOKEN = re.compile(r"[\w&]+(?:[.'-]\w+)*|[^\w\s]")
_AROUND = 60
"""Characters looked at on either side of a name."""

_MODALS = frozenset("to will may could should must can would".split())
_LONGEST_JOINT = 10
"""Characters between two names of one list."""

_AFTER_POSSESSIVE = 3
"""Words after a possessive among which one has to be of business."""

_TITLE_CASE_SHARE = 0.6
_LONG_WORD = 4
_PERIOD = re.compile(r"[qh][1-4]\S*|fy\S*|[1-4][qh]\S*")
_OPENERS = "\"'([<#"
_STOPS = ".?!:;|•·\n"


def writing_of(title: str) -> Writing:
    """How a story is written, by its title (folded)."""
    letters = [character for character in title if character.isalpha()]
    capitals = sum(map(str.isupper, letters))
    return Writing(
        capitals=len(letters) > 10 and capitals > 0.8 * len(letters),
        small=bool(letters) and capitals <= 0.1 * len(letters) and not title[:1].isupper(),
    )


class Context:
    """One folded text, and what its parts say of the names in it.

    ``title_end`` is where the title ends. Capital letters say little in a title that is written
    With Capitals, and nothing in one in capitals.
    """

    def __init__(self, text: str, title_end: int, writing: Writing) -> None:
        self._text = text
        self._title_end = title_end
        self._writing = writing
        self._title_case = _title_case(text[:title_end])
        tokens = {token.lower() for token in _TOKEN.findall(text)}
        self._sport = not words.SPORT.isdisjoint(tokens)
        self._markets = {
            country for country, terms in words.MARKETS.items() if not terms.isdisjoint(tokens)
        }

    def refutes(self, found: NameFound) -> bool:
        """Whether this is a person's name, a venue's, or part of an address, whatever else."""
        text, start, end = self._text, found.start, found.end
        if start and (text[start - 1] in "@_" or text[start - 2 : start] in ("//", "w.")):
            return True
        if start and text[start - 1] in "$€£" and text[start].isdigit():
            return True  # $3M
        after = self._after(end, 1)
        if after and after[0].lower() in words.VENUES and after[0][0].isupper():
            return text[end : end + 1] == " "
        if len(found.name) <= 2 and after and after[0].lower() in words.SURNAMES:
            return True
        before = self._before(start, 1)
        single = " " not in found.name and found.name[0].isalpha()
        return bool(
            single
            and text[start - 1 : start] == " "
            and before
            and before[-1][0].isupper()
            and before[-1].lower() in words.GIVEN_NAMES
        )

    def supports(self, found: NameFound) -> bool:
        """Whether the words beside an ambiguous name make it the company's."""
        before, after = self._before(found.start, 3), self._after(found.end, 5)
        next_word = after[0].lower().rstrip(".") if after else ""
        if next_word in words.LEGAL_FORMS and after[0][0].isupper() | (next_word == "plc"):
            return True
        if self._sport or self._within_another_name(found, before):
            return False
        key = found.name.lower().replace(" ", "-")
        if self._business_after(found, key, after):
            return True
        if sum(map(str.isupper, found.name)) > 1 and found.company.country in self._markets:
            return not self._capitals_everywhere(found.start) or not self._writing.capitals
        last = before[-1].lower() if before else ""
        if last in words.DETERMINERS:
            return False
        strict = key in words.CAPITAL_IS_NOT_ENOUGH
        if self._business_before(before, strict and self._capitals_everywhere(found.start)):
            return True
        return not strict and self._capital_tells(found, last)

    def joined(self, left: int, right: int) -> bool:
        """Whether two names stand in one list: "Target, Gap", "Delta and United Airlines"."""
        if not 0 < right - left <= _LONGEST_JOINT:
            return False
        between = self._text[left:right]
        return re.fullmatch(r",? (?:and|&) |, |/|, as (?:did|does) | or ", between) is not None

    def _within_another_name(self, found: NameFound, before: list[str]) -> bool:
        """Whether a capitalised word right before makes another name of it: Hudson Vale."""
        if not before or self._text[found.start - 1] != " " or self._writing.capitals:
            return False
        last = before[-1]
        if not last[0].isupper() or self._capitals_everywhere(found.start):
            return False
        small = last.lower()
        return not any(
            small in known
            for known in (
                words.OPENERS, words.BEFORE, words.LINKING_WORDS, words.DETERMINERS,
                words.VERBS, words.NOUNS, words.STAKES,
            )
        )  # fmt: skip

    def _business_after(self, found: NameFound, key: str, after: list[str]) -> bool:
        text, end = self._text, found.end
        if text[end : end + 1] == "-":
            return bool(len(after) > 1 and after[1].lower() in words.COMPOUNDS)
        lower = [token.lower() for token in after]
        plural = found.name.endswith(("s", "S")) and text[end : end + 2] == "' "
        if plural or text[end : end + 2].lower() == "'s":
            if key not in words.CAPITAL_IS_NOT_ENOUGH and not self._writing.capitals:
                return True
            near = lower[1 : 2 + _AFTER_POSSESSIVE] if plural else lower[2 : 3 + _AFTER_POSSESSIVE]
            return not words.NOUNS.isdisjoint(near)
        if not lower or text[end : end + 1] != " ":
            return False
        if _PERIOD.fullmatch(lower[0]):
            return True
        if lower[0] in _MODALS:
            return len(lower) > 1 and lower[1] in words.INFINITIVES
        if key in words.INDICES:
            points = any(token[0].isdigit() for token in lower[1:3])
            return lower[0] in words.VERBS | words.NOUNS and not (
                points or lower[0] in words.PRICE_VERBS
            )
        if any(lower[0] in known for known in (words.VERBS, words.PRICE_VERBS, words.NOUNS)):
            return True
        return (
            key not in words.CAPITAL_IS_NOT_ENOUGH
            and re.fullmatch(r"[a-z]+[^s\W]s", after[0]) is not None
            and len(lower) > 1
            and lower[1] in words.OBJECTS
        )

    def _business_before(self, before: list[str], doubtful: bool) -> bool:
        if not before or doubtful:
            return False
        last = before[-1].lower()
        if last in ("of", "in", "at", "on") and len(before) > 1:
            return before[-2].lower() in words.STAKES
        return last in words.BEFORE

    def _capital_tells(self, found: NameFound, last: str) -> bool:
        """A capital in mid-sentence, where others are small, after a word that names can follow."""
        if self._capitals_everywhere(found.start) or found.name.isupper():
            return False
        if " " in found.name:
            return True
        if self._starts_sentence(found.start):
            return False
        return last in words.LINKING_WORDS or last.endswith(("s", "ed", "ing"))

    def _capitals_everywhere(self, start: int) -> bool:
        in_title = start < self._title_end
        return in_title and (self._title_case or self._writing.capitals)

    def _starts_sentence(self, start: int) -> bool:
        before = self._text[max(0, start - _AROUND) : start].rstrip(" " + _OPENERS)
        return not before or before[-1] in _STOPS or before.endswith((" -", " --"))

    def _before(self, start: int, count: int) -> list[str]:
        return _TOKEN.findall(self._text[max(0, start - _AROUND) : start])[-count:]

    def _after(self, end: int, count: int) -> list[str]:
        return _TOKEN.findall(self._text[end : end + _AROUND])[:count]


def _title_case(title: str) -> bool:
    """Whether most long words but the first begin with a capital."""
    long = [word for word in title.split()[1:] if len(word) >= _LONG_WORD and word[0].isalpha()]
    capital = sum(word[0].isupper() for word in long)
    return len(long) >= 2 and capital >= _TITLE_CASE_SHARE * len(long)
