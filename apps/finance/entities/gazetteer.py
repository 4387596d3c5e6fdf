"""The companies that are known from the start, and how one is found by what people call it.

``gazetteer.csv`` beside this module was written for Triptych from general knowledge. Its column
``needs_context`` names those of a company's names that are ordinary words, or names of people and
places: they link only with evidence beside them (``evidence.py``).
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from apps.finance.entities.folding import fold

MOST_PROPOSED = 3
"""Close names that are proposed for one that is not known."""

_LEAST_LIKENESS = 0.6


@dataclass(frozen=True, slots=True)
class Company:
    """A listed company, or one that a person added.

    ``aliases`` are its other names; ``needs_context`` those of all its names that mean something
    else as well. ``exchange`` is where the ticker is listed.
    """

    id: str
    name: str
    ticker: str | None = None
    sector: str | None = None
    country: str | None = None
    aliases: tuple[str, ...] = ()
    exchange: str | None = None
    needs_context: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.id or not self.name.strip():
            raise ValueError("a company needs an id and a name")
        if not all(re.search(r"\w", name) for name in self.names):
            raise ValueError(f"each name of {self.id} needs a letter or a digit: {self.names}")
        if strangers := set(self.needs_context) - set(self.names):
            raise ValueError(f"{sorted(strangers)} need context but are no names of {self.id}")

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the aliases."""
        return (self.name, *self.aliases)


@cache
def gazetteer() -> tuple[Company, ...]:
    """The shipped companies, in the order of the file."""
    source = resources.files("apps.finance.entities") / "gazetteer.csv"
    with source.open(encoding="utf-8") as lines:
        return tuple(
            Company(
                id=row["id"],
                name=row["name"],
                ticker=row["ticker"],
                sector=row["sector"],
                country=row["country"],
                aliases=_listed(row["aliases"]),
                exchange=row["exchange"],
                needs_context=_listed(row["needs_context"]),
            )
            for row in csv.DictReader(lines)
        )


def find_companies(called: str, companies: Iterable[Company]) -> list[Company]:
    """The companies that bear this id, name, alias or ticker; case and accents do not matter.

    Ids and names decide before tickers, so that a word that is one company's name and another's
    ticker means the first. Several can share a ticker on different exchanges.
    """
    wanted = name_key(called)
    known = list(companies)
    named = [one for one in known if wanted in {name_key(one.id), *map(name_key, one.names)}]
    return named or [one for one in known if one.ticker and name_key(one.ticker) == wanted]


def close_companies(called: str, companies: Sequence[Company]) -> list[Company]:
    """Up to three companies whose names are written most like this one, the closest first."""
    owners = {name_key(name): company for company in companies for name in company.names}
    close = difflib.get_close_matches(
        name_key(called), owners, n=3 * MOST_PROPOSED, cutoff=_LEAST_LIKENESS
    )
    return list({owners[name].id: owners[name] for name in close}.values())[:MOST_PROPOSED]


def slug(name: str) -> str:
    """An id out of a name: small ASCII letters, digits and hyphens, at most 64; may be empty."""
    words = re.findall(r"[a-z0-9]+", fold(name.replace("&", " and ")).text.lower())
    return "-".join(words)[:64].strip("-")


def name_key(name: str) -> str:
    """A name without case, accents and extra spaces: two names alike in it are the same."""
    return " ".join(fold(name).text.lower().split())


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(filter(None, cell.split("|")))
