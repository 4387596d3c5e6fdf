"""Alerts with the names and the titles of what they speak of."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, func, select

from apps.finance.alerts.store import Alert
from apps.finance.entities.companies import watched
from apps.finance.entities.gazetteer import gazetteer
from apps.finance.serving.answers import as_alert
from shared.api import finance_alerts
from shared.storage.engine import reading
from shared.storage.finance_tables import mentions, stories


def answered(engine: Engine, alerts: Sequence[Alert]) -> list[finance_alerts.AlertShape]:
    """Each alert with its subject's name and its stories' titles; few queries, however many."""
    if not alerts:
        return []
    companies = {
        alert.subject.removeprefix("company:")
        for alert in alerts
        if alert.subject.startswith("company:")
    }
    names = {company.id: company.name for company in (*gazetteer(), *watched(engine))}
    with reading(engine) as connection:
        if unknown := companies - names.keys():
            names |= _mentioned(connection, unknown)
        told = _titles(connection, {story for alert in alerts for story in alert.story_ids})
    return [
        as_alert(alert, subject_name=subject_name(alert.subject, names), stories=told)
        for alert in alerts
    ]


def subject_name(subject: str, names: dict[str, str]) -> str:
    """A subject as people read it; ``names`` are of companies by id."""
    kind, _, rest = subject.partition(":")
    if kind == "all":
        return "All stories"
    return names.get(rest, rest) if kind == "company" else rest


def _mentioned(connection: Connection, companies: set[str]) -> dict[str, str]:
    """The names of companies that are on no list any more, as stories mention them."""
    query = (
        select(mentions.c.company_id, func.max(mentions.c.name))
        .where(mentions.c.company_id.in_(companies))
        .group_by(mentions.c.company_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _titles(connection: Connection, ids: set[str]) -> dict[str, finance_alerts.AlertStory]:
    query = select(stories.c.id, stories.c.title, stories.c.link, stories.c.published_at)
    return {
        row.id: finance_alerts.AlertStory(**row._mapping)
        for row in connection.execute(query.where(stories.c.id.in_(ids)))
    }
