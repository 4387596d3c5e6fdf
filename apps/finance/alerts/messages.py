"""What targets are told of an alert: the same JSON for webhooks, and the words for mail."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from apps.finance.alerts.evaluation import Firing
from apps.finance.sentiment_index.timeline import ALL
from shared.storage.finance_tables import mentions, stories, watched_companies


def message_of(connection: Connection, firing: Firing) -> dict[str, Any]:
    """The payload of an alert: ``type``, ``subject_line``, ``lines`` and ``alert``.

    ``subject_line`` and ``lines`` are the message in words; ``alert`` holds the rule, the numbers
    and the stories.
    """
    name = subject_name(connection, firing.subject)
    told = _stories(connection, firing)
    return {
        "type": "alert.fired",
        "subject_line": f"{firing.rule.name}: {name}",
        "lines": _lines(firing, name, told),
        "alert": {
            "id": firing.id,
            "subject": firing.subject,
            "subject_name": name,
            "fired_at": firing.fired_at.isoformat(),
            "rule": firing.rule.as_json(),
            "numbers": dict(firing.numbers),
            "stories": told,
        },
    }


def subject_name(connection: Connection, subject: str) -> str:
    """A subject as people read it: the company's or sector's name, or ``all news``."""
    kind, _, key = subject.partition(":")
    if subject == ALL:
        return "all news"
    if kind != "company":
        return key
    for column, identity in (
        (watched_companies.c.name, watched_companies.c.id),
        (mentions.c.name, mentions.c.company_id),
    ):
        name = connection.execute(select(column).where(identity == key).limit(1)).scalar()
        if name is not None:
            return str(name)
    return key


def _stories(connection: Connection, firing: Firing) -> list[dict[str, Any]]:
    columns = [stories.c[name] for name in ("id", "title", "link", "published_at", "label")]
    rows = connection.execute(select(*columns).where(stories.c.id.in_(firing.story_ids)))
    by_id = {row.id: row for row in rows}
    return [
        {
            "id": row.id,
            "title": row.title,
            "link": row.link,
            "published_at": row.published_at.isoformat(),
            "label": row.label,
        }
        for row in (by_id[story] for story in firing.story_ids if story in by_id)
    ]


def _lines(firing: Firing, name: str, told: list[dict[str, Any]]) -> list[str]:
    numbers = [f"{key.replace('_', ' ')}: {_shown(value)}" for key, value in firing.numbers.items()]
    lines = [
        f"{name}, {firing.fired_at:%Y-%m-%d %H:%M} UTC",
        f"{firing.rule.kind} rule: {firing.rule.name}",
        *numbers,
    ]
    for story in told:
        lines.append(f"- {story['title']} ({story['published_at'][:16].replace('T', ' ')} UTC)")
        if story["link"]:
            lines.append(f"  {story['link']}")
    return lines


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {count}" for key, count in value.items())
    if isinstance(value, float):
        return f"{value:.3g}"
    return "not known" if value is None else str(value)
