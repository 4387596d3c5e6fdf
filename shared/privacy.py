"""Personal data in messages: found and replaced before anything is stored or logged.

What is masked, and how it is told from the numbers that a support desk needs:

=================  ==============================================================================
placeholder        what it stands for
=================  ==============================================================================
[email]            an e-mail address, also with spaces around its at sign
[iban]             a bank account number of the ISO 13616 form whose check digits hold (mod 97)
[card]             a payment card number: 13 to 19 digits whose check digit holds (Luhn)
[account]          5 to 17 digits right after a word such as account, konto, routing, sort code
[security code]    3 or 4 digits right after cvv, cvc or security code
[phone]            a number with a country code, or of a national shape, or after "call me at"
=================  ==============================================================================

Order, ticket and tracking numbers ("#12345", "order 10023", "ABC-1234567890") stay, and so do
dates, times, prices and network addresses. Where both readings are possible, masking wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from shared.privacy_phones import phone_spans
from shared.text_spans import Span, plain_digits, replace_spans

_WORTH_A_LOOK: Final = re.compile(r"[\d@＠]")

_LOCAL_PART: Final = r"[^\s@<>()\[\],;:\"\\]"
_EMAIL: Final = re.compile(
    rf"(?:\"[^\"\n]{{1,64}}\"|(?<!{_LOCAL_PART}){_LOCAL_PART}++)"  # john.doe
    r"\s?@\s?"
    r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?:xn--[a-z0-9-]+|[^\W\d_]{2,63})"  # mail.example.org
    rf"|(?<!{_LOCAL_PART}){_LOCAL_PART}++@\[[\da-f.:]+\]",  # john@[192.0.2.1]
    re.IGNORECASE,
)

_IBAN_START: Final = re.compile(r"[A-Za-z]{2}\d{2}")
_IBAN_LENGTHS: Final[dict[str, int]] = {
    country: int(length)
    for length, countries in {
        "15": "NO",
        "16": "BE",
        "18": "DK FI FK FO GL NL SD",
        "19": "MK SI",
        "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV",
        "22": "BG BH CR DE GB GE IE ME RS VA",
        "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "LY PT ST",
        "26": "IS TR",
        "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV",
        "29": "BR EG PS QA UA",
        "30": "JO KW MU YE",
        "31": "MT SC",
        "32": "LC",
        "33": "RU",
    }.items()
    for country in countries.split()
}
"""Characters of an IBAN by country, from the registry of ISO 13616."""

_SEPARATORS: Final = " \t.-_‐‑‒–\u00a0\u2009\u202f"
_DIGIT_GROUPS: Final = re.compile(rf"[0-9]+(?:[{re.escape(_SEPARATORS)}]{{1,3}}[0-9]+)*")
_GROUP: Final = re.compile(r"[0-9]+")

_ACCOUNT: Final = re.compile(
    r"\b(?:bank\s+)?(?:account|acct|acc|a/c|konto(?:nummer|nr)?|bankleitzahl|blz|sort[\s-]?code"
    r"|routing|bsb|iban|cuenta|compte|conto|conta|rekening(?:nummer)?)\b"
    r"(?:[\s:#=.]|\b(?:number|num|no|nr|nummer|numero|número|numéro|code|is|was|ist|es|est)\b){1,12}"
    r"(?P<number>[0-9](?:[ -]?[0-9]){4,16})(?![0-9])",
    re.IGNORECASE,
)
_SECURITY_CODE: Final = re.compile(
    r"\b(?:cvv2?|cvc2?|csc|security\s+code)\b[\s:#=.]*(?:is\s+)?(?P<number>[0-9]{3,4})(?![0-9])",
    re.IGNORECASE,
)
_ISO_DATE: Final = re.compile(r"(?:19|20)\d\d-?[01]\d-?[0-3]\d")


def mask_personal_data(text: str) -> str:
    """The text with personal data replaced by typed placeholders such as ``[email]``.

    Masking a masked text changes nothing. A text without a digit or an at sign returns at once.
    """
    while _WORTH_A_LOOK.search(text):
        masked = text
        for find_spans, placeholder in _RULES:
            masked = replace_spans(masked, find_spans(plain_digits(masked)), placeholder)
        if masked == text:
            break
        text = masked
    return text


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others (ISO/IEC 7812-1)."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


def is_iban(compact: str) -> bool:
    """Whether a text without spaces is an IBAN of its country's length whose mod 97 is 1."""
    if _IBAN_LENGTHS.get(compact[:2].upper()) != len(compact) or not compact.isascii():
        return False
    rearranged = compact[4:] + compact[:4]
    return rearranged.isalnum() and int("".join(str(int(c, 36)) for c in rearranged)) % 97 == 1


def _email_spans(text: str) -> Iterator[Span]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield match.span()


def _iban_spans(text: str) -> Iterator[Span]:
    end = 0
    for match in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None or match.start() < end:
            continue
        stop = _end_of_characters(text, match.start(), length)
        if stop is not None:
            compact = "".join(c for c in text[match.start() : stop] if c not in _SEPARATORS)
            if is_iban(compact):
                end = stop
                yield match.start(), stop


def _end_of_characters(text: str, start: int, count: int) -> int | None:
    """Where ``count`` letters or digits end that at most two separators in a row part."""
    gap = 0
    for position in range(start, len(text)):
        character = text[position]
        if character.isascii() and character.isalnum():
            count, gap = count - 1, 0
            if count == 0:
                return position + 1
        elif character in _SEPARATORS and gap < 2:
            gap += 1
        else:
            return None
    return None


def _card_spans(text: str) -> Iterator[Span]:
    """Every stretch of whole digit groups that reads as a card number; stretches may overlap."""
    for run in _DIGIT_GROUPS.finditer(text):
        if run.end() - run.start() < 13:
            continue
        groups = [(match.start(), match[0]) for match in _GROUP.finditer(text, *run.span())]
        for first, (start, _) in enumerate(groups):
            digits = ""
            for last in range(first, len(groups)):
                position, group = groups[last]
                digits += group
                if len(digits) > 19:
                    break
                if len(digits) >= 13 and passes_luhn(digits):
                    sizes = [len(group) for _, group in groups[first:last]]
                    if all(size >= 3 for size in sizes) or set(sizes) == {1}:
                        yield start, position + len(group)


def _account_spans(text: str) -> Iterator[Span]:
    for match in _ACCOUNT.finditer(text):
        if not _ISO_DATE.fullmatch(match["number"]):
            yield match.span("number")


def _security_code_spans(text: str) -> Iterator[Span]:
    for match in _SECURITY_CODE.finditer(text):
        yield match.span("number")


_RULES: Final[tuple[tuple[Callable[[str], Iterable[Span]], str], ...]] = (
    (_email_spans, "[email]"),
    (_iban_spans, "[iban]"),
    (_card_spans, "[card]"),
    (_security_code_spans, "[security code]"),
    (_account_spans, "[account]"),
    (phone_spans, "[phone]"),
)
"""In the order of certainty: what check digits prove comes before what words suggest."""
