"""The index of stored stories, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from apps.finance.records import ScoredMention
from apps.finance.sentiment_index.queries import (
    company_readings,
    index_points,
    known_since,
    sightings,
)
from apps.finance.sentiment_index.timeline import Sighting
from shared.storage.engine import reading
from tests.fakes.scored_rows import row, store_story

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STEEL = (("acme", "steel", "negative"), ("bolt", "steel", "positive"), ("coop", None, "neutral"))


@pytest.fixture(autouse=True)
def news(engine: Engine) -> None:
    with engine.begin() as connection:
        store_story(connection, "old", NOON - timedelta(days=14), "positive")
        store_story(connection, "a", NOON - 2 * HOUR, "negative", companies=STEEL, novelty=0.5)
        store_story(connection, "b", NOON - HOUR, "positive", event="merger")
        store_story(connection, "late", NOON - 3 * HOUR, "neutral", seen_at=NOON + 5 * HOUR)
        store_story(connection, "ahead", NOON + 9 * HOUR, "negative", seen_at=NOON - 4 * HOUR)
        store_story(connection, "waiting", NOON, None)


def found(engine: Engine, subjects: list[str] | None, **options: object) -> list[Sighting]:
    window = (NOON - timedelta(days=1), NOON)
    values = {"seen_until": None, **options}
    with reading(engine) as connection:
        rows = sightings(connection, [window], subjects=subjects, **values)  # type: ignore[arg-type]
    return sorted(rows, key=lambda one: (one.mention.story_id, one.mention.company_id or ""))


def ids(rows: list[Sighting]) -> list[tuple[str, str | None]]:
    return [(one.mention.story_id, one.mention.company_id) for one in rows]


def test_rows_come_by_subject_and_say_what_was_stored(engine: Engine) -> None:
    every = found(engine, ["all"])
    assert ids(every) == [("a", None), ("ahead", None), ("b", None), ("late", None)]
    assert every[0] == Sighting(NOON - 2 * HOUR, row("a", NOON - 2 * HOUR, novelty=0.5))
    steel = found(engine, ["sector:steel"])
    assert ids(steel) == [("a", "acme"), ("a", "bolt")]
    expected: ScoredMention = row(
        "a", NOON - 2 * HOUR, "positive", company="bolt", sector="steel", novelty=0.5
    )
    assert steel[1].mention == expected
    assert ids(found(engine, ["company:coop", "company:acme"])) == [("a", "acme"), ("a", "coop")]
    assert found(engine, ["company:nobody"]) == []
    assert found(engine, []) == []
    assert len(found(engine, None)) == 7


def test_a_story_that_claims_a_later_time_counts_from_when_it_was_read(engine: Engine) -> None:
    (ahead,) = [one for one in found(engine, ["all"]) if one.mention.story_id == "ahead"]
    assert ahead.mention.published_at == NOON - 4 * HOUR


def test_what_was_read_later_is_left_out_where_that_is_asked(engine: Engine) -> None:
    assert "late" not in [one[0] for one in ids(found(engine, ["all"], seen_until=NOON))]


def test_the_index_reads_all_that_it_needs_and_knows_its_beginning(engine: Engine) -> None:
    with reading(engine) as connection:
        assert known_since(connection) == NOON - timedelta(days=14)
        points = index_points(connection, "all", step="hour", since=NOON - 3 * HOUR, until=NOON)
        day = index_points(connection, "all", step="day", since=NOON - 9 * HOUR, until=NOON)
    assert [point.volume for point in points] == [1, 1, 0]
    assert points[0].negative_volume == 1
    assert points[0].volume_z == 1 / (1 + 1 / 1) ** 0.5  # one silent week is known before
    assert (day[-1].volume, day[-1].value) == (4, points[-1].value)


def test_companies_have_their_index_at_each_moment(engine: Engine) -> None:
    with reading(engine) as connection:
        readings = company_readings(connection, [NOON - 3 * HOUR, NOON])
        none = company_readings(connection, [])
        points = index_points(
            connection, "company:acme", step="hour", since=NOON - HOUR, until=NOON
        )
    assert list(readings) == ["acme", "bolt", "coop"]
    before, now = readings["acme"]
    assert (before.value, now.value) == (None, points[-1].value)
    assert none == {}
