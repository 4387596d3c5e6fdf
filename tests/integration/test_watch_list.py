"""The watch list on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, insert, select

from apps.finance.entities.companies import (
    Company,
    custom_company,
    follow,
    gazetteer,
    linkable,
    unwatch,
    watch,
    watched,
)
from apps.finance.entities.linking import CompanyLinker
from apps.finance.records import StoryText
from shared.errors import Conflict, DataError, NotFound
from shared.storage.engine import reading
from shared.storage.finance_tables import watched_companies
from shared.storage.tables import audit_log

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 3, 2, tzinfo=UTC)
ACME = custom_company(
    "Acme Mills", ticker="ACM", sector="Materials", aliases=["Acme"], needs_context=["Mills"]
)


def add(engine: Engine, called: str, *aliases: str) -> Company:
    return watch(engine, called, aliases=aliases, added_by="ann", now=NOW)


def test_a_company_of_the_gazetteer_keeps_what_is_known_of_it(engine: Engine) -> None:
    company = add(engine, "tgt")
    assert company in gazetteer()
    assert watched(engine) == (company,)
    assert watched(engine)[0].needs_context == ("Target",)


def test_watching_again_adds_names_and_no_row(engine: Engine) -> None:
    add(engine, "Boeing", "Seattle jet maker")
    watch(engine, "boeing", aliases=["BA Inc"], added_by="bob", now=LATER)
    (company,) = watched(engine)
    assert company.aliases == ("Seattle jet maker", "BA Inc")
    with reading(engine) as connection:
        row = connection.execute(select(watched_companies)).one()
        actions = connection.execute(select(audit_log.c.action, audit_log.c.actor)).all()
    assert (row.added_by, row.created_at) == ("ann", NOW)
    assert sorted(map(tuple, actions)) == [("watch", "ann"), ("watch", "bob")]


def test_names_that_are_unknown_or_shared_are_refused(engine: Engine) -> None:
    with pytest.raises(DataError, match="did you mean Microsoft") as caught:
        add(engine, "Mircosoft")
    assert caught.value.details["close"][0] == "microsoft"
    with pytest.raises(DataError, match="merck-kgaa"):
        add(engine, "MRK")
    with pytest.raises(Conflict, match="Toyota"):
        add(engine, "Boeing", "toyota")
    with pytest.raises(DataError, match="letter or a digit"):
        add(engine, "Boeing", "&&")
    assert watched(engine) == ()


def test_a_custom_company_comes_back_as_it_went_in(engine: Engine) -> None:
    follow(engine, ACME, added_by="ann", now=NOW)
    assert watched(engine) == (ACME,)
    assert (ACME.aliases, ACME.needs_context) == (("Acme", "Mills"), ("Mills",))
    changed = replace(ACME, sector="Industrials")
    follow(engine, changed, added_by="ann", now=LATER)
    assert watched(engine) == (changed,)


def test_a_custom_company_takes_no_name_of_another(engine: Engine) -> None:
    follow(engine, ACME, added_by="ann", now=NOW)
    for company in (
        custom_company("Toyota"),
        custom_company("Foo", aliases=["google"]),
        custom_company("Foo", aliases=["acme"]),
    ):
        with pytest.raises(Conflict, match="already"):
            follow(engine, company, added_by="ann", now=NOW)
    with pytest.raises(DataError, match="shorten"):
        follow(engine, custom_company("Foo", ticker="X" * 40), added_by="ann", now=NOW)
    with pytest.raises(DataError, match="cannot be a company"):
        custom_company("  ")
    assert watched(engine) == (ACME,)


def test_unwatch_takes_it_off_and_knows_what_is_not_there(engine: Engine) -> None:
    add(engine, "Boeing")
    with pytest.raises(NotFound, match="did you mean Boeing"):
        unwatch(engine, "Boing", removed_by="ann", now=NOW)
    assert unwatch(engine, "BA", removed_by="ann", now=NOW).id == "boeing"
    assert watched(engine) == ()
    with pytest.raises(NotFound):
        unwatch(engine, "boeing", removed_by="ann", now=NOW)


def test_texts_link_to_the_gazetteer_and_to_the_watch_list(engine: Engine) -> None:
    add(engine, "Boeing", "Seattle jet maker")
    follow(engine, ACME, added_by="ann", now=NOW)
    companies = linkable(engine)
    assert len(companies) == len(gazetteer()) + 1
    linker = CompanyLinker(companies)
    found = linker.link(StoryText("Seattle jet maker, Acme and Airbus rise"))
    assert {one.company.id for one in found} == {"boeing", "acme-mills", "airbus"}


def test_rows_of_plain_names_are_read(engine: Engine) -> None:
    row = {
        "id": "acme", "name": "Acme", "ticker": None, "sector": None, "country": None,
        "aliases": ["Acme", "Acme Works"], "added_by": "ann", "created_at": NOW,
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(watched_companies).values(row))
    assert watched(engine) == (Company("acme", "Acme", aliases=("Acme Works",)),)
