"""Phone numbers in a text: with a country code, of a national shape, or after a telling word.

Numbers with a country code are Google's libphonenumber's work. Most people leave the code out,
and the library needs a region to find those, so national numbers are told by their shape.
What looks like a number but is none (dates, times, prices, network addresses, and the numbers of
orders, tickets and parcels) is filled in first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shared.text_spans import Span

_ENOUGH_DIGITS: Final = re.compile(r"(?:[0-9][^0-9\n]{0,3}){6}[0-9]")

_NO_PHONE: Final = (
    # dates and times
    re.compile(
        r"(?<![0-9])(?<![0-9][./-])(?:(?:19|20)[0-9]{2}([./-])[0-9]{1,2}\1[0-9]{1,2}"
        r"|[0-9]{1,2}([./-])[0-9]{1,2}\2(?:(?:19|20)[0-9]{2}|[0-9]{2}(?!\2?[0-9])))(?![0-9])"
    ),
    re.compile(r"(?<![0-9])[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?(?![0-9])"),
    # prices
    re.compile(r"(?:[$€£¥₹]|\b(?:usd|eur|gbp|inr|chf)) ?[0-9]++(?:[.,][0-9]+)*+", re.IGNORECASE),
    re.compile(
        r"(?<![0-9.,])[0-9][0-9.,]*+ ?(?:[$€£¥₹%]|(?:usd|eur|euros?|gbp|dollars?)\b)(?! ?[0-9])",
        re.IGNORECASE,
    ),
    re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{2}(?![0-9])"),
    # network addresses
    re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])"),
    # numbers of orders and the like
    re.compile(r"#\s?[0-9][0-9-]*"),
    re.compile(
        r"(?:\b|(?<=[0-9]))(?!(?:tel|phone|mobile|mob|cell|handy|fax|whatsapp)[-_]?[0-9])"
        r"[^\W\d_]+[-_]?[0-9][0-9-]*",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:orders?|tickets?|invoice|tracking|booking|reference|ref|case|claim|sku|item|article"
        r"|parcel|package|shipment|transaction|serial|product|model|bestell(?:ung|nummer)"
        r"|rechnung(?:snummer)?|auftrag|sendung(?:snummer)?|commande|facture|pedido|factura"
        r"|ordine|ordem)\b"
        r"(?:[\s:#=.-]|\b(?:number|num|no|nr|nummer|numero|número|numéro|id|code|is|was|ist)\b)"
        r"{1,12}[0-9][0-9-]*",
        re.IGNORECASE,
    ),
)

_CODE_LEFT_OUT: Final = re.compile(r"(?<![\w+.,/-])[1-9][0-9]{10,13}(?![\w,/-]|\.[0-9])")

_NATIONAL: Final = re.compile(
    r"(?<![\w+.,/-])(?:"
    r"00[1-9](?:[ ./-]?[0-9]){7,13}"  # 0049 170 1234567
    r"|0[ .-]?(?:[1-9](?:[ ./-]{0,3}[0-9]){7,10}|\([0-9]{1,4}\)[0-9 .-]{5,12}[0-9])"  # 07700 900123
    r"|\(0?[1-9][0-9]{1,4}\) ?[0-9]{2,5}(?:[ .-]?[0-9]{2,5}){1,3}"  # (020) 7946 0958
    r"|(?:1[ .-]?)?\(?[2-9][0-9]{2}\)?[ .-]{1,2}[0-9]{3}[ .-][0-9]{4}"  # 555-123-4567
    r"|(?:1[ .-]?)?[2-9][0-9]{2}[2-9][0-9]{6}"  # 2125550123
    r"|1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}"  # 138 0013 8000
    r"|[6-9][0-9]{4}[ -][0-9]{5}"  # 98765 43210
    r"|[1-9][0-9] 9[0-9]{4}[ -][0-9]{4}"  # 11 91234-5678
    r"|[5-9][0-9]{2}([ .-])[0-9]{3}\1[0-9]{3}"  # 612 345 678
    r"|[67][0-9]{2}([ .-])[0-9]{2}\2[0-9]{2}\2[0-9]{2}"  # 612 34 56 78
    r")(?![\w,/-]|\.[0-9]| [0-9]{3,})"
)

_AFTER_A_TELLING_WORD: Final = re.compile(
    r"(?:\b(?:phone|telephone|tel|mobile|cell|whats-?app|fax|hotline|landline|handy|telefon"
    r"|telefono|teléfono|téléphone|portable|móvil|celular)(?![^\W\d_])"
    r"|\b(?:call|text|ring|reach|phone|contact)\s+(?:me|us|back|him|her)\b"
    r"|\bmy\s+number\b|\bmeine\s+nummer\b|\bmi\s+número\b|\bmon\s+numéro\b|[☎📞📱])"
    r"[^0-9\n]{0,25}?"
    r"(?P<number>\(?[0-9](?:[ ./()-]{0,3}[0-9]){6,14})(?![0-9])",
    re.IGNORECASE,
)


def phone_spans(text: str) -> Iterator[Span]:
    """Where phone numbers stand; spans may overlap."""
    if _ENOUGH_DIGITS.search(text) is None:
        return
    if "+" in text:
        yield from _with_country_code(text)
    for pattern in _NO_PHONE:
        text = pattern.sub(lambda match: "x" * len(match[0]), text)
    for match in _NATIONAL.finditer(text):
        yield match.span()
    for match in _AFTER_A_TELLING_WORD.finditer(text):
        yield match.span("number")
    for match in _CODE_LEFT_OUT.finditer(text):
        if _is_valid("+" + match[0]):
            yield match.span()


def _with_country_code(text: str) -> Iterator[Span]:
    import phonenumbers

    for match in phonenumbers.PhoneNumberMatcher(text, None, phonenumbers.Leniency.POSSIBLE):
        yield match.start, match.end


def _is_valid(number: str) -> bool:
    import phonenumbers

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number)))
    except phonenumbers.NumberParseException:
        return False
