from __future__ import annotations

from collections import Counter

import pytest

from apps.finance.entities.gazetteer import (
    Company,
    close_companies,
    find_companies,
    gazetteer,
    name_key,
    slug,
)

pytestmark = pytest.mark.unit

SECTORS = {
    "Communication Services", "Consumer Discretionary", "Consumer Staples", "Energy", "Financials",
    "Health Care", "Industrials", "Information Technology", "Materials", "Real Estate", "Utilities",
}  # fmt: skip


def ids(called: str) -> list[str]:
    return [company.id for company in find_companies(called, gazetteer())]


def test_it_holds_large_companies_of_many_countries() -> None:
    countries = Counter(company.country for company in gazetteer())
    assert len(gazetteer()) >= 320
    assert len(countries) >= 15
    assert countries["India"] >= 40
    assert {company.sector for company in gazetteer()} == SECTORS
    assert all(company.ticker and company.exchange for company in gazetteer())


def test_each_id_and_each_name_belongs_to_one_company() -> None:
    assert max(Counter(company.id for company in gazetteer()).values()) == 1
    names = Counter(name for company in gazetteer() for name in set(map(name_key, company.names)))
    assert [name for name, count in names.items() if count > 1] == []
    listings = Counter((company.exchange, company.ticker) for company in gazetteer())
    assert [listing for listing, count in listings.items() if count > 1] == []


def test_ordinary_words_need_context() -> None:
    doubtful = {name for company in gazetteer() for name in company.needs_context}
    assert {"Apple", "Target", "Shell", "Meta", "Orange", "Gap", "Visa", "Next"} <= doubtful
    assert "Boeing" not in doubtful


def test_a_company_is_found_by_what_people_call_it() -> None:
    assert ids("apple") == ids("AAPL") == ["apple"]
    assert ids("nestle") == ids("NESTLÉ") == ["nestle"]
    assert ids("google") == ["alphabet"]
    assert ids("MRK") == ["merck", "merck-kgaa"]
    assert ids("Mircosoft") == []


def test_a_name_comes_before_a_ticker() -> None:
    companies = [Company("rio", "Rio Foods"), Company("alpha", "Alpha", "RIO")]
    assert find_companies("rio", companies) == companies[:1]


def test_close_names_are_proposed() -> None:
    assert close_companies("Mircosoft", gazetteer())[0].id == "microsoft"
    assert close_companies("xqzw", gazetteer()) == []


def test_an_id_is_made_from_a_name() -> None:
    assert slug("Søren & Co. GmbH") == "soren-and-co-gmbh"
    assert slug("株式会社") == ""
    assert len(slug("long name " * 20)) <= 64


def test_a_company_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="id and a name"):
        Company("", "Acme")
    with pytest.raises(ValueError, match="letter or a digit"):
        Company("acme", "Acme", aliases=("&",))
    with pytest.raises(ValueError, match="no names of acme"):
        Company("acme", "Acme", needs_context=("Other",))
