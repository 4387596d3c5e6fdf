"""``triptych finance companies``: the watch list, and what a text links to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from shared.command_line import actor_name, database, print_json, reports_errors, say
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.finance.entities.gazetteer import Company
    from apps.finance.entities.linking import LinkedCompany
    from apps.finance.records import StoryText

as_json = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output."
)


@click.group()
def companies() -> None:
    """The watch list, and what links to it."""


@companies.command("list")
@click.option("--all", "everything", is_flag=True, help="All that is known, watched or not.")
@as_json
@reports_errors
def list_command(everything: bool, as_json: bool) -> None:
    """List the watched companies."""
    from apps.finance.entities.companies import linkable, watched

    with database(Settings()) as engine:
        mine = watched(engine)
        shown = linkable(engine) if everything else mine
    ids = {company.id for company in mine}
    if as_json:
        rows = [{**as_dict(company), "watched": company.id in ids} for company in shown]
        print_json({"companies": rows})
        return
    if not shown:
        say("no company is watched: add one with `triptych finance companies watch NAME`")
        return
    _print_rows(
        ("ID", "NAME", "TICKER", "SECTOR", "COUNTRY"),
        [
            (one.id, one.name, one.ticker or "", one.sector or "", one.country or "")
            for one in shown
        ],
    )


@companies.command()
@click.argument("name")
@click.option("--alias", "aliases", multiple=True, help="One more name; may be given again.")
@click.option("--custom", is_flag=True, help="A company that the gazetteer does not hold.")
@click.option("--ticker", help="Of a custom company.")
@click.option("--sector", help="Of a custom company.")
@click.option("--country", help="Of a custom company.")
@click.option(
    "--needs-context",
    multiple=True,
    help="A name of a custom company that is an ordinary word too: it links only with words of "
    "business beside it. May be given again.",
)
@as_json
@reports_errors
def watch(
    name: str,
    aliases: Sequence[str],
    custom: bool,
    ticker: str | None,
    sector: str | None,
    country: str | None,
    needs_context: Sequence[str],
    as_json: bool,
) -> None:
    """Follow a company by its id, name or ticker."""
    from apps.finance.entities import companies as watch_list

    if not custom and (ticker or sector or country or needs_context):
        raise click.UsageError(
            "--ticker, --sector, --country and --needs-context describe a --custom company"
        )
    who, now = actor_name(), datetime.now(UTC)
    with database(Settings()) as engine:
        if custom:
            company = watch_list.custom_company(
                name, ticker=ticker, sector=sector, country=country, aliases=aliases,
                needs_context=needs_context,
            )  # fmt: skip
            watch_list.follow(engine, company, added_by=who, now=now)
        else:
            company = watch_list.watch(engine, name, aliases=aliases, added_by=who, now=now)
    if as_json:
        print_json({**as_dict(company), "watched": True})
    else:
        say(f"watching {company.name} ({company.id})")


@companies.command()
@click.argument("name")
@as_json
@reports_errors
def unwatch(name: str, as_json: bool) -> None:
    """Take a company off the watch list. What was scored stays."""
    from apps.finance.entities import companies as watch_list

    with database(Settings()) as engine:
        company = watch_list.unwatch(engine, name, removed_by=actor_name(), now=datetime.now(UTC))
    if as_json:
        print_json({**as_dict(company), "watched": False})
    else:
        say(f"no longer watching {company.name} ({company.id})")


@companies.command()
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option("--summary", default="", help="A text below the headline, when there is one TEXT.")
@as_json
@reports_errors
def link(texts: Sequence[str], summary: str, as_json: bool) -> None:
    """Which companies headlines speak of, and how much they are about them.

    A TEXT of - reads headlines from standard input, one a line.
    """
    from apps.finance.entities.companies import linkable
    from apps.finance.entities.linking import CompanyLinker
    from apps.finance.records import StoryText

    headlines = [
        line
        for text in texts
        for line in (sys.stdin.read().splitlines() if text == "-" else [text])
        if line.strip()
    ]
    if not headlines:
        raise click.BadParameter(
            "a headline needs a character that is not blank", param_hint="TEXT"
        )
    if summary and len(headlines) != 1:
        raise click.UsageError("--summary goes with exactly one TEXT")
    with database(Settings()) as engine:
        linker = CompanyLinker(linkable(engine))
    stories = [StoryText(headline, summary) for headline in headlines]
    linked = [linker.link(story) for story in stories]
    if as_json:
        print_json({"results": [_result(*one) for one in zip(stories, linked, strict=True)]})
        return
    for story, found in zip(stories, linked, strict=True):
        click.echo(story.title)
        for one in found:
            words = ", ".join(story.whole[start:end] for start, end in one.spans)
            click.echo(f"  {one.relevance:.2f}  {one.company.name} ({one.company.id}): {words}")
        if not found:
            click.echo("  no company")


def as_dict(company: Company) -> dict[str, Any]:
    """A company, fit for JSON."""
    return {
        "id": company.id,
        "name": company.name,
        "ticker": company.ticker,
        "exchange": company.exchange,
        "sector": company.sector,
        "country": company.country,
        "aliases": list(company.aliases),
        "needs_context": list(company.needs_context),
    }


def _result(story: StoryText, linked: list[LinkedCompany]) -> dict[str, Any]:
    return {
        "title": story.title,
        "text": story.text,
        "companies": [
            {
                "id": one.company.id,
                "name": one.company.name,
                "ticker": one.company.ticker,
                "sector": one.company.sector,
                "relevance": one.relevance,
                "in_title": one.in_title,
                "spans": [list(span) for span in one.spans],
                "words": [story.whole[start:end] for start, end in one.spans],
            }
            for one in linked
        ],
    }


def _print_rows(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
