"""Tickers in a text: $AAPL, NASDAQ: AAPL, (AAPL), (7203.T). Bare capital words are none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apps.finance.entities.gazetteer import Company

_EXCHANGES = {
    "NASDAQ": "NASDAQ NasdaqGS NASDAQGS Nasdaq",
    "NYSE": "NYSE",
    "TSX": "TSX TSE.TO",
    "LSE": "LSE LON",
    "XETRA": "XETRA ETR FRA FWB",
    "EPA": "EPA PAR",
    "SIX": "SIX SWX",
    "AMS": "AMS",
    "BRU": "EBR BRU",
    "MIL": "BIT MIL",
    "BME": "BME MCE",
    "STO": "STO",
    "CPH": "CPH",
    "HEL": "HEL",
    "OSL": "OSL",
    "TSE": "TSE TYO",
    "KRX": "KRX KOSPI",
    "TWSE": "TWSE TPE",
    "HKEX": "HKEX HKG SEHK",
    "SSE": "SSE SHA",
    "SZSE": "SZSE SHE",
    "SGX": "SGX",
    "NSE": "NSE",
    "BSE": "BSE",
    "ASX": "ASX",
    "B3": "B3 BVMF",
    "BMV": "BMV",
    "TADAWUL": "TADAWUL",
    "JSE": "JSE",
}
_SUFFIXES = {
    "O": "NASDAQ", "OQ": "NASDAQ", "N": "NYSE", "L": "LSE", "TO": "TSX", "DE": "XETRA",
    "PA": "EPA", "S": "SIX", "SW": "SIX", "AS": "AMS", "BR": "BRU", "MI": "MIL", "MC": "BME",
    "ST": "STO", "CO": "CPH", "HE": "HEL", "OL": "OSL", "T": "TSE", "KS": "KRX", "TW": "TWSE",
    "HK": "HKEX", "SS": "SSE", "SZ": "SZSE", "SI": "SGX", "NS": "NSE", "BO": "BSE", "AX": "ASX",
    "SA": "B3", "MX": "BMV", "SR": "TADAWUL", "J": "JSE",
}  # fmt: skip
_OF = {alias: exchange for exchange, aliases in _EXCHANGES.items() for alias in aliases.split()}
_AMERICAN = frozenset({"NYSE", "NASDAQ"})
_MARKETS = (_AMERICAN, frozenset({"NSE", "BSE"}))

_CASHTAG = re.compile(r"(?<![\w$])\$([A-Z]{1,5}(?:\.[A-Z])?|[a-z]{3,5})(?![\w$])")
_WITH_EXCHANGE = re.compile(
    rf"\b({'|'.join(sorted(map(re.escape, _OF), key=len, reverse=True))})\s?:\s?"
    r"([A-Z0-9](?:[A-Z0-9&.-]{0,10}[A-Z0-9])?)(?![\w])"
)
_IN_BRACKETS = re.compile(r"[(<\[]([A-Z0-9][A-Z0-9&-]{0,11})(?:\.([A-Z]{1,2}))?[)>\]]")

_AMOUNTS = frozenset({"M", "B", "K", "T", "bln", "mln", "trn", "usd"})
"""After a dollar sign these are amounts."""

LEAST_ALONE = 4
"""Letters that a ticker in brackets needs where its company is not named before it."""


@dataclass(frozen=True, slots=True)
class TickerFound:
    """A ticker at [start, end) of a text. ``sure`` without the company's name beside it."""

    start: int
    end: int
    company: Company
    sure: bool


class TickerIndex:
    """Finds the tickers of companies. One that two listings share needs its exchange."""

    def __init__(self, companies: Iterable[Company]) -> None:
        self._owners: dict[str, list[Company]] = defaultdict(list)
        for company in companies:
            if company.ticker:
                self._owners[company.ticker.upper()].append(company)

    def find(self, text: str) -> Iterator[TickerFound]:
        """Tickers in a text, kind by kind; the same place may come twice."""
        if "$" in text:
            for found in _CASHTAG.finditer(text):
                if found[1] not in _AMOUNTS and (company := self._american(found[1].upper())):
                    yield TickerFound(found.start(), found.end(), company, True)
        if ":" in text:
            for found in _WITH_EXCHANGE.finditer(text):
                if company := self._listed(found[2], _OF[found[1]]):
                    yield TickerFound(found.start(2), found.end(2), company, True)
        if "(" in text or "<" in text or "[" in text:
            for found in _IN_BRACKETS.finditer(text):
                yield from self._bracketed(found)

    def _bracketed(self, found: re.Match[str]) -> Iterator[TickerFound]:
        ticker, suffix = found[1], found[2]
        if suffix:
            exchange = _SUFFIXES.get(suffix)
            if exchange and (company := self._listed(ticker, exchange)):
                yield TickerFound(found.start(1), found.end(2), company, True)
            return
        owners = self._owners.get(ticker, [])
        alone = len(owners) == 1 and len(ticker) >= LEAST_ALONE and ticker.isalpha()
        for company in owners:
            word = ticker in {name.upper() for name in company.names}
            yield TickerFound(found.start(1), found.end(1), company, alone and not word)

    def _listed(self, ticker: str, exchange: str) -> Company | None:
        for spelling in dict.fromkeys((ticker, ticker.zfill(4), ticker.lstrip("0"))):
            for company in self._owners.get(spelling, ()):
                if company.exchange is None or _same_market(company.exchange, exchange):
                    return company
        return None

    def _american(self, ticker: str) -> Company | None:
        owners = self._owners.get(ticker, [])
        american = [one for one in owners if one.exchange in _AMERICAN or one.exchange is None]
        if american:
            return american[0]
        return owners[0] if len(owners) == 1 and ticker.isalpha() else None


def _same_market(first: str, second: str) -> bool:
    """Tickers are unique among the exchanges of one market, and companies move between them."""
    return first == second or any({first, second} <= market for market in _MARKETS)
