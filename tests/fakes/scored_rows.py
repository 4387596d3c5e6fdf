"""Scored rows and stored stories as index and alerts read them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from apps.finance.records import ScoredMention
from shared.storage.finance_tables import mentions, stories

MOODS = {
    "negative": {"negative": 0.9, "neutral": 0.08, "positive": 0.02},
    "neutral": {"negative": 0.05, "neutral": 0.9, "positive": 0.05},
    "positive": {"negative": 0.02, "neutral": 0.08, "positive": 0.9},
}


def row(
    story: str,
    at: datetime,
    mood: str = "negative",
    *,
    company: str | None = None,
    sector: str | None = None,
    **changes: Any,
) -> ScoredMention:
    """A row about all news, or about a company."""
    values: dict[str, Any] = {
        "relevance": 1.0,
        "novelty": 1.0,
        "event": None,
        "event_probability": None,
        **MOODS[mood],
        **changes,
    }
    return ScoredMention(
        story_id=story, company_id=company, sector=sector, published_at=at, label=mood, **values
    )


def store_story(
    connection: Connection,
    story: str,
    at: datetime,
    mood: str | None = "negative",
    *,
    seen_at: datetime | None = None,
    novelty: float = 1.0,
    event: str | None = None,
    event_probability: float | None = None,
    companies: tuple[tuple[str, str | None, str], ...] = (),
) -> None:
    """A stored story; ``companies`` as (id, sector, mood), ``mood`` None waits for a score."""
    seen = seen_at or at
    values: dict[str, Any] = {
        "id": story,
        "kind": "news",
        "title": f"Story {story}",
        "text": "",
        "link": f"https://news.example/{story}",
        "published_at": at,
        "first_seen_at": seen,
        "updated_at": seen,
        "novelty": novelty,
    }
    if mood is not None:
        values |= {
            "label": mood,
            "probabilities": MOODS[mood],
            "event": event,
            "event_probability": event_probability if event is None else event_probability or 0.9,
            "version": "v1",
            "scored_at": seen,
        }
    connection.execute(insert(stories).values(values))
    for company, sector, toward in companies:
        about = {
            "story_id": story,
            "company_id": company,
            "name": company.title(),
            "sector": sector,
            "relevance": 1.0,
            "in_title": True,
            "spans": [],
            "label": toward,
            "version": "v1",
            **MOODS[toward],
        }
        connection.execute(insert(mentions).values(about))
