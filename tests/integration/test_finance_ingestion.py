"""From documents to stories: each once, with its sources, revisions and scores."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, func, insert, select

from apps.finance.feeds import FeedStore
from apps.finance.ingest.counts import IngestCounts
from apps.finance.ingest.grouping import NearDuplicates
from apps.finance.ingest.pipeline import Ingestion, origin_of
from apps.finance.records import Story
from apps.finance.stories import StoryFilter, StoryStore
from data_connectors.feed_fetching import Busy, Failed, NotModified
from data_connectors.feed_parsing import FeedEntry
from shared.storage.engine import reading
from shared.storage.finance_tables import mentions, stories, story_revisions, story_sources
from shared.storage.tables import audit_log
from tests.fakes.feed_fetcher import CannedFetcher, fetched, rss
from tests.fakes.story_scorer import WordScorer

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
A = ("A-1", "Acme soars on record orders", "The maker of anvils sold more than ever.")
B = ("B-1", "Globex sinks after fraud claims", "Auditors left the room in a hurry.")


def ingestion(engine: Engine, scorer: WordScorer | None = None, **options: object) -> Ingestion:
    return Ingestion(
        engine,
        options.pop("fetcher", None) or CannedFetcher(),  # type: ignore[arg-type]
        scorer or WordScorer(),
        jitter=lambda: 0.0,
        **options,  # type: ignore[arg-type]
    )


def all_stories(engine: Engine) -> dict[str, Story]:
    page = StoryStore(engine).page(StoryFilter(), None, 200)
    return {story.title: story for story in page.stories}


def count(engine: Engine, table: object) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]


def entry(guid: str, title: str, text: str = "", **options: object) -> FeedEntry:
    fields = {"link": None, "author": None, "publisher": None, "published_at": None}
    return FeedEntry(guid=guid, title=title, summary=text, updated_at=None, **fields | options)  # type: ignore[arg-type]


# Documents


def test_a_document_becomes_scored_stories(engine: Engine) -> None:
    scorer = WordScorer(companies={"Acme": "acme"})
    counts = ingestion(engine, scorer).ingest_document("here", None, rss([A, B]), NOW)
    assert counts == IngestCounts(polls=1, entries=2, distinct=2, stories=2)
    found = all_stories(engine)
    acme, globex = found[A[1]], found[B[1]]
    assert acme.score is not None
    assert globex.score is not None
    assert (acme.score.label, globex.score.label) == ("positive", "negative")
    assert (acme.text, acme.kind, acme.first_seen_at) == (A[2], "news", NOW)
    assert [mention.company_id for mention in acme.score.mentions] == ["acme"]
    assert globex.score.mentions == ()
    (source,) = acme.sources
    assert (source.publisher, source.origin, source.seen_at) == ("Ledger", "here", NOW)


def test_reading_it_again_adds_nothing_and_scores_nothing(sqlite_engine: Engine) -> None:
    scorer = WordScorer()
    one = ingestion(sqlite_engine, scorer)
    one.ingest_document("here", None, rss([A, B]), NOW)
    again = one.ingest_document("here", None, rss([A, B]), NOW + MINUTE)
    assert again == IngestCounts(polls=1, entries=2, repeats=2)
    assert sum(map(len, scorer.scored)) == 2


def test_numbers_add_up_with_repeats_within_a_document(sqlite_engine: Engine) -> None:
    counts = ingestion(sqlite_engine).ingest_document("here", None, rss([A, B, A]), NOW)
    assert (counts.entries, counts.repeats, counts.distinct, counts.stories) == (3, 1, 2, 2)


def test_what_is_no_feed_is_an_error_and_no_exception(sqlite_engine: Engine) -> None:
    counts = ingestion(sqlite_engine).ingest_document("here", None, b"<html>no</html>", NOW)
    assert counts == IngestCounts(polls=1, errors=1)


def test_a_long_document_is_stored_whole(sqlite_engine: Engine) -> None:
    items = [(f"G-{n}", f"Number {n} of {n * n}", "") for n in range(1203)]
    counts = ingestion(sqlite_engine).ingest_document("here", None, rss(items), NOW)
    assert (counts.entries, counts.distinct) == (1203, 1203)
    assert count(sqlite_engine, story_sources) == 1203


# One story from several publishers


def test_the_same_wire_story_from_five_publishers_is_one_story_with_five_sources(
    engine: Engine,
) -> None:
    one, scorer = None, WordScorer()
    one = ingestion(engine, scorer)
    total = IngestCounts()
    for number, suffix in enumerate(["", " - Ledger", " today", "", " (update)"]):
        item = (f"G-{number}", A[1] + suffix, A[2])
        total += one.ingest_document(f"feed {number}", None, rss([item]), NOW + number * MINUTE)
    assert (total.distinct, total.stories) == (5, 1)
    (story,) = all_stories(engine).values()
    assert [source.origin for source in story.sources] == [f"feed {n}" for n in range(5)]
    assert story.title == A[1]
    assert story.updated_at == NOW + 4 * MINUTE
    assert sum(map(len, scorer.scored)) == 1


def test_memory_and_a_fresh_start_group_alike(sqlite_engine: Engine) -> None:
    ingestion(sqlite_engine).ingest_document("one", None, rss([A, B]), NOW)
    counts = ingestion(sqlite_engine).ingest_document(
        "two", None, rss([A, ("C", "Oil is flat", "")]), NOW + MINUTE
    )
    assert (counts.distinct, counts.stories) == (2, 1)
    assert len(all_stories(sqlite_engine)[A[1]].sources) == 2


def test_what_another_process_stored_is_seen(sqlite_engine: Engine) -> None:
    first, second = ingestion(sqlite_engine), ingestion(sqlite_engine)
    first.ingest_document("one", None, rss([B]), NOW)
    second.ingest_document("two", None, rss([A]), NOW)
    counts = first.ingest_document("three", None, rss([A]), NOW + MINUTE)
    assert (counts.distinct, counts.stories) == (1, 0)


def test_novelty_falls_for_what_is_nearly_known(sqlite_engine: Engine) -> None:
    one = ingestion(sqlite_engine, near=NearDuplicates(threshold=0.99))
    one.ingest_document("one", None, rss([A]), NOW)
    near = ("N", f"{A[1]} again", A[2])
    one.ingest_document("two", None, rss([near, ("O", "Oil is flat", "")]), NOW)
    found = all_stories(sqlite_engine)
    assert found[A[1]].novelty == 1.0
    assert found[near[1]].novelty < 0.3
    assert found[near[1]].near_story_id == found[A[1]].id
    assert found["Oil is flat"].novelty > 0.5


def test_posts_and_news_are_never_one_story(sqlite_engine: Engine) -> None:
    one = ingestion(sqlite_engine)
    one.ingest_document("one", None, rss([A]), NOW)
    counts = one.ingest_entries("board", "Board", [entry("P", A[1], A[2])], NOW, "post")
    assert counts.stories == 1
    assert {
        story.kind for story in StoryStore(sqlite_engine).page(StoryFilter(), None, 9).stories
    } == {
        "news",
        "post",
    }


def test_the_window_moves_with_the_stories(sqlite_engine: Engine) -> None:
    one = ingestion(sqlite_engine)
    days = [0, 2, 4, 30, 31, 1]  # the last one reaches back beyond what is in memory
    grouped = []
    for number, day in enumerate(days):
        at = NOW + timedelta(days=day)
        item = entry(f"G-{number}", A[1], A[2], published_at=at)
        counts = one.ingest_entries(f"feed {number}", "P", [item], NOW + timedelta(days=40))
        grouped.append(counts.stories)
    # Day 2 joins day 0; day 4 is too far from day 0, whose time the story keeps.
    assert grouped == [1, 0, 1, 1, 0, 0]


# Revisions


def test_other_words_make_a_revision_and_a_new_score(engine: Engine) -> None:
    scorer = WordScorer(companies={"Acme": "acme"})
    one = ingestion(engine, scorer)
    one.ingest_document("here", None, rss([A]), NOW)
    reworded = ("A-1", "Globex sinks on bad orders", "")
    counts = one.ingest_document("here", None, rss([reworded]), NOW + MINUTE)
    assert (counts.repeats, counts.revisions, counts.distinct) == (1, 1, 0)
    (story,) = all_stories(engine).values()
    assert story.title == "Globex sinks on bad orders"
    assert story.score is not None
    assert story.score.label == "negative"
    assert story.updated_at == NOW + MINUTE
    assert story.sources[0].revisions == 1
    assert count(engine, mentions) == 0
    with reading(engine) as connection:
        (kept,) = connection.execute(select(story_revisions)).all()
    assert (kept.title, kept.text, kept.seen_at) == (A[1], A[2], NOW)
    # The new words are what near-duplicates are told by from now on.
    same = one.ingest_document("there", None, rss([("X", *reworded[1:])]), NOW + 2 * MINUTE)
    assert same.stories == 0


def test_an_archive_read_again_makes_no_revisions(sqlite_engine: Engine) -> None:
    one = ingestion(sqlite_engine)
    words = [("A-1", title, "") for title in ("First words", "Second words", "First words")]
    first = [one.ingest_document("here", None, rss([item]), NOW + n * MINUTE)
             for n, item in enumerate(words)]  # fmt: skip
    assert [counts.revisions for counts in first] == [0, 1, 0]
    (story,) = all_stories(sqlite_engine).values()
    assert story.title == "First words"
    again = [one.ingest_document("here", None, rss([item]), NOW + n * MINUTE)
             for n, item in enumerate(words)]  # fmt: skip
    assert [counts.revisions for counts in again] == [0, 0, 0]
    (story,) = all_stories(sqlite_engine).values()
    assert (story.title, story.updated_at) == ("First words", NOW + 2 * MINUTE)


def test_a_second_source_that_changes_leaves_the_story_its_words(sqlite_engine: Engine) -> None:
    one = ingestion(sqlite_engine)
    one.ingest_document("one", None, rss([A]), NOW)
    one.ingest_document("two", None, rss([A]), NOW)
    counts = one.ingest_document("two", None, rss([("A-1", "Other words", "")]), NOW + MINUTE)
    assert counts.revisions == 1
    (story,) = all_stories(sqlite_engine).values()
    assert story.title == A[1]
    assert [source.title for source in story.sources] == [A[1], "Other words"]


# Scores


def test_without_a_model_stories_wait_and_are_scored_later(engine: Engine) -> None:
    scorer = WordScorer(version=None)
    one = ingestion(engine, scorer)
    one.ingest_document("here", None, rss([A, B]), NOW)
    one.ingest_document("there", None, rss([A]), NOW)
    assert {story.score for story in all_stories(engine).values()} == {None}
    assert one.score_waiting(NOW) == 0
    scorer.version = "words-2"
    assert one.score_waiting(NOW + MINUTE) == 2
    assert {story.score.version for story in all_stories(engine).values() if story.score} == {
        "words-2"
    }
    assert one.score_waiting(NOW + MINUTE) == 0


def test_a_scorer_that_fails_loses_no_story(sqlite_engine: Engine) -> None:
    counts = ingestion(sqlite_engine, WordScorer(fails=True)).ingest_document(
        "here", None, rss([A, B]), NOW
    )
    assert counts.stories == 2
    assert ingestion(sqlite_engine).score_waiting(NOW) == 2


def test_a_story_that_the_scorer_fails_on_takes_no_other_with_it(engine: Engine) -> None:
    titles = ["Alpha wins", "Beta breaks all", "Gamma falls", "Delta rises"]
    document = rss([(title[0], title, "") for title in titles])
    failing = ingestion(engine, WordScorer(fails_on="breaks"))
    assert failing.ingest_document("here", None, document, NOW).stories == 4
    assert labels(engine) == {"Alpha wins": "positive", "Beta breaks all": None,
                              "Gamma falls": "negative", "Delta rises": "positive"}  # fmt: skip
    assert failing.score_waiting(NOW) == 0
    assert ingestion(engine).score_waiting(NOW) == 1
    assert labels(engine)["Beta breaks all"] == "neutral"


def labels(engine: Engine) -> dict[str, str | None]:
    with reading(engine) as connection:
        rows = connection.execute(select(stories.c.title, stories.c.label)).all()
    return {row.title: row.label for row in rows}


# Transactions


def test_what_follows_a_story_is_stored_with_it_or_not_at_all(engine: Engine) -> None:
    def fail(connection: Connection, now: datetime) -> None:
        note(connection, now)
        raise RuntimeError("the rules fail")

    def note(connection: Connection, now: datetime) -> None:
        told = connection.scalar(select(func.count()).select_from(stories))
        row = {"at": now, "actor": "rules", "action": "alert", "details": {"stories": told}}
        connection.execute(insert(audit_log).values(row))

    failing = ingestion(engine, after_stories=fail)
    with pytest.raises(RuntimeError):
        failing.ingest_document("here", None, rss([A]), NOW)
    assert (count(engine, stories), count(engine, audit_log)) == (0, 0)
    working = ingestion(engine, after_stories=note)
    working.ingest_document("here", None, rss([A]), NOW)
    working.ingest_document("here", None, rss([A]), NOW + MINUTE)  # nothing new: not called
    with reading(engine) as connection:
        assert connection.scalars(select(audit_log.c.details)).all() == [{"stories": 1}]


def test_the_same_document_taken_in_by_many_at_once_is_stored_once(engine: Engine) -> None:
    items = [(f"G-{n}", f"Story {n} of {n * n} by {n + 7}", "") for n in range(20)]
    everyone = [ingestion(engine) for _ in range(4)]
    counts: list[IngestCounts] = []
    barrier = threading.Barrier(len(everyone))

    def take(one: Ingestion) -> None:
        barrier.wait()
        counts.append(one.ingest_document("here", None, rss(items), NOW))

    threads = [threading.Thread(target=take, args=(one,)) for one in everyone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.distinct for one in counts) == 20
    assert count(engine, story_sources) == 20
    assert sum(one.stories for one in counts) == count(engine, stories)


def test_feeds_of_one_wire_taken_in_at_once_still_make_one_story(engine: Engine) -> None:
    everyone = [ingestion(engine) for _ in range(4)]
    barrier = threading.Barrier(len(everyone))

    def take(number: int) -> None:
        barrier.wait()
        everyone[number].ingest_document(f"feed {number}", None, rss([A]), NOW)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (story,) = all_stories(engine).values()
    assert len(story.sources) == 4


# Feeds that are due


def add_feeds(engine: Engine, *names: str) -> dict[str, str]:
    store = FeedStore(engine)
    return {name: store.add(f"http://{name}.example/rss", name, None, "Ann", NOW).id
            for name in names}  # fmt: skip


def test_due_feeds_are_polled_each_once_and_one_failure_stops_no_other(engine: Engine) -> None:
    ids = add_feeds(engine, "good", "same", "busy", "broken", "page", "down")
    fetcher = CannedFetcher(
        {
            "http://good.example/rss": fetched(rss([A]), etag='"1"'),
            "http://same.example/rss": NotModified(None, None, None, None),
            "http://busy.example/rss": Busy(429, 7200.0),
            "http://broken.example/rss": RuntimeError("a fault of ours"),
            "http://page.example/rss": fetched(b"<html>no feed</html>", etag='"page"'),
            "http://down.example/rss": Failed("connection refused"),
        }
    )
    one = ingestion(engine, fetcher=fetcher)
    assert one.ingest_due(NOW) == IngestCounts(polls=6, entries=1, distinct=1, stories=1, errors=4)
    assert one.ingest_due(NOW) == IngestCounts()
    assert len(fetcher.requests) == 6
    store = FeedStore(engine)
    errors = {name: store.get(id).last_error for name, id in ids.items()}
    assert errors["good"] is errors["same"] is None
    assert "wait" in str(errors["busy"])
    assert "a fault of ours" in str(errors["broken"])
    assert errors["down"] == "connection refused"
    assert "HTML" in str(errors["page"])
    assert store.get(ids["page"]).etag is None
    assert store.get(ids["busy"]).update_after == NOW + timedelta(hours=2)
    (story,) = all_stories(engine).values()
    assert story.sources[0].feed_id == ids["good"]


def test_the_validators_of_the_last_document_go_with_the_next_request(
    sqlite_engine: Engine,
) -> None:
    add_feeds(sqlite_engine, "good")
    fetcher = CannedFetcher({"http://good.example/rss": fetched(rss([A]), etag='"1"')})
    one = ingestion(sqlite_engine, fetcher=fetcher)
    one.ingest_due(NOW)
    one.ingest_due(NOW + timedelta(hours=1))
    assert [request.etag for request in fetcher.requests] == [None, '"1"']


def test_validators_are_kept_only_with_their_stories(sqlite_engine: Engine) -> None:
    ids = add_feeds(sqlite_engine, "good")

    def fail(connection: Connection, now: datetime) -> None:
        raise RuntimeError("the disk is full")

    fetcher = CannedFetcher({"http://good.example/rss": fetched(rss([A]), etag='"1"')})
    counts = ingestion(sqlite_engine, fetcher=fetcher, after_stories=fail).ingest_due(NOW)
    assert (counts.errors, counts.distinct) == (1, 0)
    feed = FeedStore(sqlite_engine).get(ids["good"])
    assert feed.etag is None
    assert "the disk is full" in str(feed.last_error)
    assert feed.failures == 1


def test_a_feed_removed_while_it_was_fetched_leaves_nothing(engine: Engine) -> None:
    ids = add_feeds(engine, "good")
    store = FeedStore(engine)

    class Removing(CannedFetcher):
        def fetch(self, request, now):  # type: ignore[no-untyped-def]
            store.remove(ids["good"], "Ann", NOW)
            return fetched(rss([A]))

    ingestion(engine, fetcher=Removing()).ingest_due(NOW)
    assert count(engine, stories) == 0


def test_a_feed_that_is_removed_leaves_its_stories(engine: Engine) -> None:
    ids = add_feeds(engine, "good")
    store = FeedStore(engine)
    fetcher = CannedFetcher({"http://good.example/rss": fetched(rss([A]))})
    one = ingestion(engine, fetcher=fetcher)
    one.ingest_due(NOW)
    feed = store.remove(ids["good"], "Ann", NOW)
    (story,) = all_stories(engine).values()
    assert (story.sources[0].feed_id, story.sources[0].origin) == (None, origin_of(feed))
    store.add(feed.url, None, None, "Ann", NOW)
    assert one.ingest_due(NOW).repeats == 1


def test_it_stops_between_documents_when_told_to(sqlite_engine: Engine) -> None:
    add_feeds(sqlite_engine, *(f"feed{n}" for n in range(6)))
    asked: list[int] = []

    def twice() -> bool:
        asked.append(1)
        return len(asked) <= 4

    counts = ingestion(sqlite_engine).ingest_due(NOW, keep_going=twice)
    assert 0 < counts.polls < 6
    assert len(FeedStore(sqlite_engine).due(NOW)) == 6 - counts.polls


def test_a_clock_that_was_set_back_stops_no_feed_for_long(sqlite_engine: Engine) -> None:
    add_feeds(sqlite_engine, "good")
    one = ingestion(sqlite_engine)
    one.ingest_due(NOW + timedelta(days=400))
    assert one.ingest_due(NOW).polls == 1
    assert one.ingest_due(NOW).polls == 0


def test_what_follows_a_round_waits_for_all_of_its_documents(sqlite_engine: Engine) -> None:
    told: list[str] = []
    one = ingestion(
        sqlite_engine,
        after_stories=lambda connection, now: told.append("document"),
        after_round=lambda connection, now: told.append("round"),
    )
    one.ingest_document("here", None, rss([A]), NOW)
    one.ingest_document("there", None, rss([B]), NOW)
    assert told == ["document", "document"]
    one.after_time(NOW)
    assert told == ["document", "document", "round"]
