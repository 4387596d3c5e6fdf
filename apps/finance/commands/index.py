"""``triptych finance index``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import click

from apps.finance.commands.moments import moment
from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.errors import DataError
from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from apps.finance.sentiment_index.index import IndexPoint

MOST_POINTS = 20_000
BAR = 10
"""Characters on each side of zero."""


@click.command()
@click.option("--company", help="A company's id, name or ticker; unset: all news.")
@click.option("--sector", help="A sector's name.")
@click.option("--step", type=click.Choice(["hour", "day"]), default="day", show_default=True)
@click.option("--since", default="10d", show_default=True, help="A time, or so long ago.")
@click.option("--until", help="A time, or so long ago; unset: now.")
@click.option(
    "--half-life",
    type=click.FloatRange(0.1, 24 * 28),
    default=24.0,
    show_default=True,
    help="Hours after which a story counts half.",
)
@json_option
@reports_errors
def index(
    company: str | None,
    sector: str | None,
    step: Literal["hour", "day"],
    since: str,
    until: str | None,
    half_life: float,
    as_json: bool,
) -> None:
    """The sentiment index over time, from -1 to 1, of all news, a company or a sector.

    Each line stands for the hour or day that ends there (UTC): the index as it stood, how many
    stories there were, how many of them negative, and how unusual that is for this hour of the
    week (z).
    """
    from apps.finance.sentiment_index.index import STEPS
    from apps.finance.sentiment_index.queries import index_points
    from shared.storage.engine import reading

    if company and sector:
        raise click.UsageError("choose a company or a sector, not both")
    now = datetime.now(UTC)
    begin, end = moment(since, now), moment(until, now) if until else now
    if (end - begin) / STEPS[step] > MOST_POINTS:
        raise DataError(f"that would be more than {MOST_POINTS:,} lines: choose a shorter time")
    with database(Settings()) as engine:
        subject = _subject(engine, company, sector)
        with reading(engine) as connection:
            points = index_points(
                connection,
                subject,
                step=step,
                since=begin,
                until=end,
                half_life_hours=half_life,
            )
    if as_json:
        print_json({"subject": subject, "step": step, "points": [_as_json(one) for one in points]})
    else:
        _print_table(subject, points)


def _subject(engine: Engine, company: str | None, sector: str | None) -> str:
    if company is None:
        return f"sector:{sector}" if sector else "all"
    from apps.finance.entities.companies import linkable
    from apps.finance.entities.gazetteer import find_companies

    known = linkable(engine)
    found = [one for one in known if one.id == company] or find_companies(company, known)
    if len(found) != 1:
        ids = ", ".join(one.id for one in found)
        raise DataError(
            f"{company!r} means several companies: name one of {ids}"
            if found
            else f"no company is called {company!r}: `triptych finance companies` shows them",
            company=company,
        )
    return f"company:{found[0].id}"


def _as_json(point: IndexPoint) -> dict[str, Any]:
    return asdict(point) | {"at": point.at.isoformat()}


def _print_table(subject: str, points: list[IndexPoint]) -> None:
    if not any(point.volume or point.weight for point in points):
        say(f"no story about {subject} yet")
    click.echo(
        f"{'until (UTC)':16}  {'index':>6}  {'-1' + ' ' * 17 + '+1'}  stories  negative      z"
    )
    for point in points:
        value = "" if point.value is None else f"{point.value:+.2f}"
        z = "" if point.volume_z is None else f"{point.volume_z:+.1f}"
        click.echo(
            f"{point.at:%Y-%m-%d %H:%M}  {value:>6}  {_bar(point.value)}  {point.volume:>7}"
            f"  {point.negative_volume:>8}  {z:>5}"
        )


def _bar(value: float | None) -> str:
    """The value as a bar from the middle: to the left where it is negative."""
    length = round(abs(value or 0.0) * BAR)
    left = "#" * length if (value or 0.0) < 0 else ""
    right = "#" * length if (value or 0.0) > 0 else ""
    return f"{left:>{BAR}}|{right:<{BAR}}"
