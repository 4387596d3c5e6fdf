"""The laws of the sample feeds: formats, counts, repeats, updates, broken entries, invented."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from apps.finance.samples.demo_server import FEEDS_FOLDER, SampleFeed
from data_connectors.feed_parsing import FeedEntry, ParsedFeed, parse_feed

pytestmark = pytest.mark.unit

GAZETTEER = FEEDS_FOLDER.parents[1] / "entities" / "gazetteer.csv"


@pytest.fixture(scope="module")
def documents() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in FEEDS_FOLDER.glob("*.xml")}


@pytest.fixture(scope="module")
def feeds(documents: dict[str, str]) -> dict[str, ParsedFeed]:
    return {name: parse_feed(text.encode()) for name, text in documents.items()}


@pytest.fixture(scope="module")
def told() -> list[dict[str, str]]:
    with (FEEDS_FOLDER / "stories.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written_at(entry: FeedEntry) -> datetime | None:
    return entry.updated_at or entry.published_at


def identified(feeds: dict[str, ParsedFeed]) -> dict[tuple[str, str], list[FeedEntry]]:
    """The versions of each entry by feed and identity."""
    found: dict[tuple[str, str], list[FeedEntry]] = defaultdict(list)
    for name, feed in feeds.items():
        for entry in feed.entries:
            found[name, entry.guid or entry.link or ""].append(entry)
    return found


def test_six_feeds_in_three_formats(documents: dict[str, str]) -> None:
    starts = Counter(
        next(root for root in ("<rss", "<feed", "<rdf:RDF") if root in text)
        for text in documents.values()
    )
    assert starts == {"<rss": 3, "<feed": 2, "<rdf:RDF": 1}


def test_every_feed_says_that_its_news_is_invented(documents: dict[str, str]) -> None:
    for text in documents.values():
        head = text[: text.index("<entry>" if "<entry>" in text else "<item")]
        assert "invented for a demonstration of Triptych" in head


def test_enough_stories_over_ten_days(
    feeds: dict[str, ParsedFeed], told: list[dict[str, str]]
) -> None:
    assert len({row["story"] for row in told}) >= 260
    written = [written_at(entry) for feed in feeds.values() for entry in feed.entries]
    times = [time for time in written if time is not None]
    assert timedelta(days=9) < max(times) - min(times) < timedelta(days=10)


def test_the_list_of_stories_names_every_entry(
    feeds: dict[str, ParsedFeed], told: list[dict[str, str]]
) -> None:
    listed = {(row["feed"], row["identity"]) for row in told}
    assert len(listed) == len(told)
    unlisted = {
        entries[0].title or entries[0].summary
        for key, entries in identified(feeds).items()
        if key not in listed
    }
    assert len(unlisted) == 7  # the broken ones that still have words
    assert listed <= set(identified(feeds))


def test_repeats_use_other_words(feeds: dict[str, ParsedFeed], told: list[dict[str, str]]) -> None:
    entries = identified(feeds)
    by_story: dict[str, list[FeedEntry]] = defaultdict(list)
    for row in told:
        by_story[row["story"]].append(entries[row["feed"], row["identity"]][-1])
    repeated = [found for found in by_story.values() if len(found) > 1]
    assert len(repeated) >= 60
    assert max(len(found) for found in repeated) >= 4
    titles = Counter(entry.title for found in by_story.values() for entry in found)
    assert [title for title, count in titles.items() if count > 1] == []


def test_updates_keep_their_identity_and_change_their_words(feeds: dict[str, ParsedFeed]) -> None:
    updated = [found for found in identified(feeds).values() if len(found) > 1]
    assert len(updated) >= 12
    for newer, older in updated:
        assert (newer.title, newer.summary) != (older.title, older.summary)
        newer_time, older_time = written_at(newer), written_at(older)
        assert newer_time is not None
        assert older_time is not None
        assert newer_time > older_time


def test_broken_entries(feeds: dict[str, ParsedFeed], documents: dict[str, str]) -> None:
    entries = [entry for feed in feeds.values() for entry in feed.entries]
    assert sum(len(feed.rejects) for feed in feeds.values()) == 2
    assert sum(not entry.title for entry in entries) >= 1
    assert sum(written_at(entry) is None for entry in entries) == 3
    assert sum(entry.guid is None and entry.link is None for entry in entries) >= 2
    assert "<script" in documents["harbour_street_journal"]
    for entry in entries:
        assert not re.search(r"<|alert\(|javascript:", f"{entry.title} {entry.summary}")
        assert entry.link is None or entry.link.startswith("https://")


def test_most_stories_name_a_company_of_the_gazetteer(
    feeds: dict[str, ParsedFeed], told: list[dict[str, str]]
) -> None:
    with GAZETTEER.open(encoding="utf-8", newline="") as file:
        names = [re.escape(row["name"]) for row in csv.DictReader(file)]
    named = re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)")
    entries = identified(feeds)
    stories = {
        row["story"]
        for row in told
        if named.search(entries[row["feed"], row["identity"]][-1].title)
    }
    assert len(stories) >= 200


def test_a_version_is_out_at_its_time_and_replaces_the_older_one(documents: dict[str, str]) -> None:
    feed = SampleFeed("rhine_gazette", documents["rhine_gazette"])
    noon = datetime(2026, 3, 7, 10, 30, tzinfo=UTC)  # the update came at eleven
    before, changed = feed.as_of(noon, timedelta())
    assert changed is not None
    assert changed <= noon
    assert "180,000 vans" in before
    assert "240,000 vans" not in before
    after, _ = feed.as_of(noon + timedelta(hours=1), timedelta())
    assert "240,000 vans" in after
    assert "180,000 vans over" not in after


def test_an_undated_entry_comes_out_with_the_older_one_below_it(documents: dict[str, str]) -> None:
    feed = SampleFeed("nordic_ledger", documents["nordic_ledger"])
    text = documents["nordic_ledger"]
    position = text.index("Ledger note without any date")
    below = re.search(r"<updated>([^<]+)", text[position:])
    assert below is not None
    out = datetime.fromisoformat(below.group(1))
    assert "without any date" not in feed.as_of(out - timedelta(seconds=1), timedelta())[0]
    assert "without any date" in feed.as_of(out, timedelta())[0]


def test_all_times_move_by_the_same_span_and_stay_of_their_format(
    documents: dict[str, str], feeds: dict[str, ParsedFeed]
) -> None:
    shift = timedelta(days=200, hours=3)
    for name, text in documents.items():
        whole = parse_feed(SampleFeed(name, text).as_of(None, timedelta())[0].encode())
        moved = parse_feed(SampleFeed(name, text).as_of(None, shift)[0].encode())
        assert len(moved.entries) >= 30
        for old, new in zip(whole.entries, moved.entries, strict=True):
            assert (old.guid, old.title, old.summary) == (new.guid, new.title, new.summary)
            for before, after in (
                (old.published_at, new.published_at),
                (old.updated_at, new.updated_at),
            ):
                assert after == (None if before is None else before + shift)


def test_nothing_is_out_before_the_first_entry(documents: dict[str, str]) -> None:
    feed = SampleFeed("asia_market_post", documents["asia_market_post"])
    long_ago = min(feed.times()) - timedelta(hours=1)
    text, changed = feed.as_of(long_ago, timedelta())
    assert changed is None
    assert parse_feed(text.encode()).entries == ()
