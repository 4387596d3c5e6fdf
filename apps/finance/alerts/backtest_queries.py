"""A backtest on the stories that are stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, func, select

from apps.finance.alerts.backtest import backtest
from apps.finance.alerts.evaluation import Firing
from apps.finance.alerts.measuring import looks_at
from apps.finance.alerts.rules import AlertRule
from apps.finance.sentiment_index.queries import known_since, sightings
from apps.finance.sentiment_index.timeline import utc
from shared.storage.engine import reading
from shared.storage.finance_tables import stories, watched_companies


def stored_backtest(
    engine: Engine,
    rules: Sequence[AlertRule],
    *,
    since: datetime,
    until: datetime,
    as_published: bool = False,
) -> list[Firing]:
    """The alerts that the rules would have raised in (since, until], as ``backtest`` says.

    The watch list is the present one. With ``as_published`` a story counts as read when it was
    published, for archives that were read in at once.
    """
    since, until = utc(since), utc(until)
    if not rules:
        return []
    with reading(engine) as connection:
        watched = tuple(connection.execute(select(watched_companies.c.id)).scalars())
        first = known_since(connection)
        if as_published:
            published = stories.c.published_at
            earliest = select(func.min(published, type_=published.type))
            first = connection.execute(earliest).scalar_one()
        if first is None:
            return []
        oldest = max(age for rule in rules for age, _ in looks_at(rule))
        rows = sightings(
            connection,
            [(since - oldest, until)],
            seen_until=None if as_published else until,
            subjects={subject for rule in rules for subject in rule.subjects(watched)},
        )
    if as_published:
        rows = [row._replace(seen_at=row.mention.published_at) for row in rows]
    found = backtest(rules, rows, since=since, until=until, watched=watched, known_since=first)
    return list(found)
