"""Stories as they are read: pages, filters, and the rows of the index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from apps.finance.ingest.pipeline import Ingestion
from apps.finance.stories import StoryFilter, StoryPage, StoryStore
from data_connectors.feed_parsing import FeedEntry
from shared.errors import DataError, NotFound
from tests.fakes.feed_fetcher import CannedFetcher
from tests.fakes.story_scorer import WordScorer

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
COMPANIES = {"Acme": "acme", "Globex": "globex"}


def store(
    engine: Engine, *titles: str, kind: str = "news", start: int = 0, **options: object
) -> None:
    """One story an hour, oldest first."""
    scorer = WordScorer(options.pop("version", "words-1"), COMPANIES)  # type: ignore[arg-type]
    ingestion = Ingestion(engine, CannedFetcher(), scorer)
    entries = [
        FeedEntry(
            f"{kind}-{start + n}", None, title, "", None, None, NOW + (start + n) * HOUR, None
        )
        for n, title in enumerate(titles)
    ]
    ingestion.ingest_entries("here", "Ledger", entries, NOW + 1000 * HOUR, kind)  # type: ignore[arg-type]


def titles(page: StoryPage) -> list[str]:
    return [story.title for story in page.stories]


def find(engine: Engine, **wanted: object) -> list[str]:
    return titles(StoryStore(engine).page(StoryFilter(**wanted), None, 50))  # type: ignore[arg-type]


def test_a_story_is_found_by_its_id_or_not_at_all(engine: Engine) -> None:
    store(engine, "Acme soars")
    (story,) = StoryStore(engine).page(StoryFilter(), None, 1).stories
    assert StoryStore(engine).get(story.id) == story
    assert StoryStore(engine).many([story.id, "x"]) == [story]
    with pytest.raises(NotFound):
        StoryStore(engine).get("x" * 32)


def test_pages_go_from_new_to_old_and_neither_repeat_nor_skip(engine: Engine) -> None:
    names = [f"Number {n} of {n * n} in {n + 9}" for n in range(7)]
    store(engine, *names)
    stories = StoryStore(engine)
    first = stories.page(StoryFilter(), None, 3)
    store(engine, "Something quite different", start=50)  # newer than all: shown on no later page
    second = stories.page(StoryFilter(), first.next_cursor, 3)
    third = stories.page(StoryFilter(), second.next_cursor, 3)
    assert [*titles(first), *titles(second), *titles(third)] == names[::-1]
    assert third.next_cursor is None


def test_stories_of_one_moment_are_paged_too(sqlite_engine: Engine) -> None:
    ingestion = Ingestion(sqlite_engine, CannedFetcher(), WordScorer())
    entries = [
        FeedEntry(f"G{n}", None, f"{n} {n * n} words {n + 9}", "", None, None, NOW, None)
        for n in range(6)
    ]
    ingestion.ingest_entries("here", "Ledger", entries, NOW)
    stories, cursor, seen = StoryStore(sqlite_engine), None, []
    for _ in range(6):
        page = stories.page(StoryFilter(), cursor, 1)
        cursor = page.next_cursor
        seen += [story.id for story in page.stories]
    assert len(set(seen)) == 6
    assert cursor is None


@pytest.mark.parametrize(
    "cursor", ["", "x", "====", "bnVsbA", "WyJ4IiwgInkiXQ", "\u00e9", "a" * 999]
)
def test_a_cursor_that_no_page_gave_is_refused(sqlite_engine: Engine, cursor: str) -> None:
    with pytest.raises(DataError, match="cursor"):
        StoryStore(sqlite_engine).page(StoryFilter(), cursor, 5)


def test_filters_choose_and_combine(engine: Engine) -> None:
    store(
        engine, "Acme soars", "Globex sinks", "Acme and Globex plan a merger", "Acme sinks by 50%"
    )
    store(engine, "A post about nothing", kind="post", start=10)
    assert find(engine, company="acme") == [
        "Acme sinks by 50%",
        "Acme and Globex plan a merger",
        "Acme soars",
    ]
    assert find(engine, company="acme", label="negative") == ["Acme sinks by 50%"]
    assert find(engine, label="negative") == ["Acme sinks by 50%", "Globex sinks"]
    assert find(engine, event="merger") == ["Acme and Globex plan a merger"]
    assert find(engine, kind="post") == ["A post about nothing"]
    assert find(engine, since=NOW + HOUR, until=NOW + 2 * HOUR) == ["Globex sinks"]
    assert find(engine, text="aCME SO") == ["Acme soars"]
    assert find(engine, text="50%") == ["Acme sinks by 50%"]
    assert find(engine, text="5_%") == []
    assert find(engine, company="nobody") == []


def test_the_rows_of_the_index_are_stories_and_companies(engine: Engine) -> None:
    store(engine, "Acme soars", "Globex sinks into bankruptcy", "Nobody is named here")
    rows = StoryStore(engine).scored_mentions(NOW, NOW + 2 * HOUR)
    assert [(row.company_id, row.label) for row in rows] == [
        (None, "positive"),
        ("acme", "positive"),
        (None, "negative"),
        ("globex", "negative"),
    ]
    story, company = rows[2], rows[3]
    assert (story.relevance, story.sector, company.sector) == (1.0, None, "Industry")
    assert (story.event, company.event) == ("insolvency", "insolvency")
    assert story.negative == company.negative == pytest.approx(0.8)
    only = StoryStore(engine).scored_mentions(NOW, NOW + 9 * HOUR, ["globex"])
    assert [row.company_id for row in only] == ["globex"]


def test_stories_that_wait_for_a_model_are_shown_and_not_counted(sqlite_engine: Engine) -> None:
    store(sqlite_engine, "Acme soars", version=None)
    assert find(sqlite_engine) == ["Acme soars"]
    assert StoryStore(sqlite_engine).scored_mentions(NOW, NOW + HOUR) == []
