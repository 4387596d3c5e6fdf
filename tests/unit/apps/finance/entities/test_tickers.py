from __future__ import annotations

import pytest

from apps.finance.entities.gazetteer import Company
from apps.finance.entities.tickers import TickerIndex

pytestmark = pytest.mark.unit

INDEX = TickerIndex(
    [
        Company("acme", "Acme", "ACME", exchange="NASDAQ"),
        Company("beta", "Beta", "BA", exchange="NYSE"),
        Company("gamma", "Gamma", "BA", exchange="LSE"),
        Company("delta", "Delta", "7203", exchange="TSE"),
        Company("epsilon", "Epsilon", "0700", exchange="HKEX"),
        Company("zeta", "Zeta", "ZETA", exchange="NSE"),
        Company("mum", "Mum", "M", exchange="NYSE"),
    ]
)


def found(text: str) -> list[tuple[str, str, bool]]:
    return [(one.company.id, text[one.start : one.end], one.sure) for one in INDEX.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ACME up", ("acme", "$ACME", True)),
        ("$acme up", ("acme", "$acme", True)),
        ("$BA up", ("beta", "$BA", True)),
        ("(NASDAQ: ACME)", ("acme", "ACME", True)),
        ("NYSE:ACME", ("acme", "ACME", True)),
        ("(LON:BA)", ("gamma", "BA", True)),
        ("(NYSE: BA)", ("beta", "BA", True)),
        ("<7203.T>", ("delta", "7203.T", True)),
        ("(700.HK)", ("epsilon", "700.HK", True)),
        ("(HKG: 0700)", ("epsilon", "0700", True)),
        ("BSE: ZETA", ("zeta", "ZETA", True)),
        ("(ACME)", ("acme", "ACME", False)),
    ],
)
def test_a_ticker_is_found_with_its_place(text: str, expected: tuple[str, str, bool]) -> None:
    assert found(text) == [expected]


def test_a_ticker_in_brackets_alone_needs_four_letters_that_are_no_name() -> None:
    index = TickerIndex([Company("acme", "Acme Mills", "ACML"), Company("it", "Italic", "IT")])
    sure = {one.company.id: one.sure for one in index.find("(ACML) (IT)")}
    assert sure == {"acme": True, "it": False}


@pytest.mark.parametrize(
    "text", ["ACME", "BA", "$M", "$BAX", "US$ACME", "LSE: ACME", "(7203)x 7203", "$5", "(7203.HK)"]
)
def test_other_words_and_amounts_are_no_sure_tickers(text: str) -> None:
    assert not [one for one in found(text) if one[2]]
