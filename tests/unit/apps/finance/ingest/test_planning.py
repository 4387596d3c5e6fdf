"""What of a document is new, repeated, reworded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance.ingest.planning import (
    LONGEST_HEAD,
    KnownSource,
    compare,
    sightings,
    split_title,
)
from data_connectors.feed_parsing import FeedEntry

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENTRY = FeedEntry("A-1", None, "Acme rises", "On good news.", "Ann", None, None, None)


def seen(*entries: FeedEntry, now: datetime = NOW) -> list:
    return sightings(entries, "Ledger", now)[0]


def known(entry: FeedEntry, seen_at: datetime) -> dict[str, KnownSource]:
    (sighting,) = seen(entry)
    return {sighting.identity: KnownSource(1, "s" * 32, sighting.digest, seen_at)}


def test_the_first_of_an_identity_counts_and_the_others_are_repeats() -> None:
    found = compare(seen(ENTRY, replace(ENTRY, title="Acme soars")), {}, NOW)
    assert [one.title for one in found.new] == ["Acme rises"]
    assert found.repeats == 1


def test_other_words_of_a_known_entry_are_a_change() -> None:
    before = known(ENTRY, NOW - timedelta(hours=1))
    same = compare(seen(ENTRY), before, NOW)
    assert (same.new, same.changed, same.repeats) == ((), (), 1)
    other = compare(seen(replace(ENTRY, title="Acme soars")), before, NOW)
    assert [sighting.title for _, sighting in other.changed] == ["Acme soars"]
    assert other.repeats == 1


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(hours=1)])
def test_a_document_no_younger_than_what_is_known_changes_nothing(ago: timedelta) -> None:
    found = compare(seen(replace(ENTRY, title="Acme soars")), known(ENTRY, NOW), NOW - ago)
    assert found.changed == ()
    assert found.repeats == 1


def test_a_story_has_a_time_that_is_not_to_come() -> None:
    past, to_come = NOW - timedelta(days=1), NOW + timedelta(days=1)
    times = [
        seen(replace(ENTRY, published_at=published, updated_at=updated))[0].story_time
        for published, updated in [(past, NOW), (None, past), (None, None), (to_come, None)]
    ]
    assert times == [past, past, NOW, NOW]


def test_an_entry_without_a_title_gets_one_of_its_words_and_one_without_words_is_counted() -> None:
    bare = replace(ENTRY, title="", summary="Acme rises. It sold more.")
    (sighting,), wordless = sightings([bare, replace(bare, summary=" ")], "Ledger", NOW)
    assert (sighting.title, sighting.text) == ("Acme rises.", "It sold more.")
    assert wordless == 1


def test_a_summary_that_repeats_the_title_is_left_out() -> None:
    assert seen(replace(ENTRY, summary="ACME rises"))[0].text == ""


def test_the_publisher_of_an_entry_wins_over_that_of_its_feed() -> None:
    assert seen(ENTRY, replace(ENTRY, guid="B", publisher="Wire"))[1].publisher == "Wire"
    assert seen(ENTRY)[0].publisher == "Ledger"


@given(st.text())
def test_splitting_keeps_every_word(text: str) -> None:
    head, rest = split_title(text)
    assert len(head) <= LONGEST_HEAD
    assert "".join((head + rest).split()) == "".join(text.split())
    assert bool(head) == bool(text.strip())
