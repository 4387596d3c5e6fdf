"""The watch list: which companies a desk follows, and which companies texts are linked to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from apps.finance.entities.gazetteer import (
    Company,
    close_companies,
    find_companies,
    gazetteer,
    name_key,
    slug,
)
from shared.errors import Conflict, DataError, NotFound
from shared.storage import audit
from shared.storage.engine import reading
from shared.storage.finance_tables import watched_companies

__all__ = [
    "Company",
    "custom_company",
    "follow",
    "gazetteer",
    "linkable",
    "unwatch",
    "watch",
    "watched",
]

LONGEST_NAME = 200
LONGEST_TICKER = 32
LONGEST_PLACE = 64
"""Characters of a sector or a country."""


def watched(engine: Engine) -> tuple[Company, ...]:
    """The watch list, by name. What the gazetteer knows of a company is there as well."""
    with reading(engine) as connection:
        return _read(connection)


def linkable(engine: Engine) -> tuple[Company, ...]:
    """All companies that a text can link to: the gazetteer, with the watch list laid over it."""
    mine = {company.id: company for company in watched(engine)}
    shipped = [mine.pop(company.id, company) for company in gazetteer()]
    return (*shipped, *mine.values())


def watch(
    engine: Engine, called: str, *, added_by: str, now: datetime, aliases: Sequence[str] = ()
) -> Company:
    """Follow a company of the gazetteer, found by its id, name, alias or ticker.

    ``aliases`` are more names that link to it. Watching it again changes nothing but that it gains
    those names. Raises DataError for a name that the gazetteer does not know, with close ones, or
    that several companies share; Conflict for an alias that is another company's name.
    """
    found = find_companies(called, gazetteer())
    if not found:
        close = close_companies(called, gazetteer())
        raise DataError(
            f"no company is called {called!r}{_did_you_mean(close)}; one that is not in the "
            "gazetteer can be added as a custom company",
            name=called,
            close=[company.id for company in close],
        )
    if len(found) > 1:
        listed = ", ".join(f"{company.id} ({company.exchange})" for company in found)
        raise DataError(
            f"{called!r} means several companies: name one of {listed}",
            name=called,
            close=[company.id for company in found],
        )
    with engine.begin() as connection:
        known = {company.id: company for company in _read(connection)}
        company = _with_names(known.get(found[0].id, found[0]), aliases)
        others = (one for one in (*gazetteer(), *known.values()) if one.id != company.id)
        _refuse_taken(aliases, others)
        _store(connection, company, added_by, now, new=company.id not in known)
    return company


def follow(engine: Engine, company: Company, *, added_by: str, now: datetime) -> Company:
    """Follow a custom company, one that the gazetteer does not hold, as it is given.

    ``custom_company`` makes one; one with an id that is watched already replaces it. Raises
    Conflict when its id or one of its names belongs to another company, DataError when a field is
    too long.
    """
    with engine.begin() as connection:
        known = {one.id: one for one in _read(connection)}
        others = (*gazetteer(), *(one for one in known.values() if one.id != company.id))
        _refuse_taken((company.id, *company.names), others)
        _store(connection, company, added_by, now, new=company.id not in known)
    return company


def custom_company(
    name: str,
    *,
    ticker: str | None = None,
    sector: str | None = None,
    country: str | None = None,
    aliases: Sequence[str] = (),
    needs_context: Sequence[str] = (),
) -> Company:
    """A company with an id made from its name. Raises DataError for one that cannot be made."""
    try:
        return Company(
            id=slug(name),
            name=name.strip(),
            ticker=ticker or None,
            sector=sector or None,
            country=country or None,
            aliases=_distinct([*aliases, *needs_context], but=name),
            needs_context=_distinct(needs_context),
        )
    except ValueError as error:
        raise DataError(f"{name!r} cannot be a company: {error}", name=name) from error


def unwatch(engine: Engine, called: str, *, removed_by: str, now: datetime) -> Company:
    """Take a company off the watch list. NotFound, with close names, when it is not there."""
    with engine.begin() as connection:
        mine = _read(connection)
        found = find_companies(called, mine)
        if len(found) != 1:
            close = found or close_companies(called, mine)
            raise NotFound(
                f"the watch list has no company called {called!r}{_did_you_mean(close)}",
                name=called,
                close=[company.id for company in close],
            )
        table = watched_companies
        connection.execute(delete(table).where(table.c.id == found[0].id))
        details = {"company": found[0].id}
        audit.record(connection, actor=removed_by, action="unwatch", details=details, at=now)
    return found[0]


def _read(connection: Connection) -> tuple[Company, ...]:
    shipped = {company.id: company for company in gazetteer()}
    rows = connection.execute(select(watched_companies).order_by(watched_companies.c.name))
    return tuple(_as_company(dict(row._mapping), shipped) for row in rows)


def _as_company(row: Mapping[str, Any], shipped: Mapping[str, Company]) -> Company:
    """``aliases`` holds names; one that needs context is {"name": ..., "needs_context": true}."""
    entries = [one if isinstance(one, dict) else {"name": one} for one in row["aliases"]]
    names = [str(entry["name"]) for entry in entries]
    if (known := shipped.get(row["id"])) is not None:
        return _with_names(known, names)
    return Company(
        id=row["id"],
        name=row["name"],
        ticker=row["ticker"],
        sector=row["sector"],
        country=row["country"],
        aliases=_distinct(names, but=row["name"]),
        needs_context=_distinct([str(e["name"]) for e in entries if e.get("needs_context")]),
    )


def _refuse_taken(names: Iterable[str], companies: Iterable[Company]) -> None:
    """Raises Conflict where one of the names is the id or a name of one of the companies."""
    others = {name_key(name): one for one in companies for name in (one.id, *one.names)}
    for name in names:
        if taken := others.get(name_key(name)):
            raise Conflict(
                f"{name!r} is {taken.name} ({taken.id}) already: watch that, or choose another "
                "name",
                name=name,
                id=taken.id,
            )


def _refuse_long(company: Company) -> None:
    fields = [(name, LONGEST_NAME) for name in company.names]
    fields.append((company.ticker or "", LONGEST_TICKER))
    fields += [(place or "", LONGEST_PLACE) for place in (company.sector, company.country)]
    for value, most in fields:
        if len(value) > most:
            raise DataError(f"{value[:40]!r}... has more than {most} characters: shorten it")


def _store(
    connection: Connection, company: Company, added_by: str, now: datetime, *, new: bool
) -> None:
    _refuse_long(company)
    row: dict[str, Any] = {
        "name": company.name,
        "ticker": company.ticker,
        "sector": company.sector,
        "country": company.country,
        "aliases": [
            {"name": name, "needs_context": True} if name in company.needs_context else name
            for name in company.names
        ],
    }
    table = watched_companies
    if new:
        row |= {"id": company.id, "added_by": added_by[:120], "created_at": now}
        connection.execute(insert(table).values(row))
    else:
        connection.execute(update(table).where(table.c.id == company.id).values(row))
    details = {"company": company.id}
    audit.record(connection, actor=added_by, action="watch", details=details, at=now)


def _with_names(company: Company, names: Sequence[str]) -> Company:
    new = [name for name in _distinct(names) if name not in company.names]
    try:
        return replace(company, aliases=(*company.aliases, *new)) if new else company
    except ValueError as error:
        raise DataError(f"{company.id} cannot bear these names: {error}") from error


def _distinct(names: Sequence[str], but: str = "") -> tuple[str, ...]:
    stripped = (name.strip() for name in names)
    return tuple(dict.fromkeys(name for name in stripped if name and name != but.strip()))


def _did_you_mean(close: Sequence[Company]) -> str:
    if not close:
        return ""
    return ": did you mean " + " or ".join(f"{one.name} ({one.id})" for one in close) + "?"
