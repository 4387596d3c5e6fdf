"""Captured feeds played again: every entry once, and a second time nothing new."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from apps.finance.ingest.counts import IngestCounts
from apps.finance.ingest.pipeline import Ingestion
from apps.finance.ingest.replaying import Snapshot, replay
from tests.fakes.feed_fetcher import CannedFetcher, rss
from tests.fakes.story_scorer import WordScorer

pytestmark = pytest.mark.integration


def ingestion(engine: Engine) -> Ingestion:
    return Ingestion(engine, CannedFetcher(), WordScorer())


@pytest.mark.parametrize(
    ("feed", "entries", "distinct"), [("wsj_econ", 2_160, 130), ("economist", 6_000, 115)]
)
def test_captured_polls_give_each_story_once_and_a_second_replay_nothing(
    sqlite_engine: Engine, public_data: Path, feed: str, entries: int, distinct: int
) -> None:
    folder = public_data / "finance_feeds" / "polls" / feed
    first = replay(folder, ingestion(sqlite_engine))
    assert (first.polls, first.entries, first.distinct) == (60, entries, distinct)
    assert first.repeats == entries - distinct
    assert (first.rejected, first.errors) == (0, 0)
    assert first.revisions > 0
    second = replay(folder, ingestion(sqlite_engine))
    assert second == IngestCounts(polls=60, entries=entries, repeats=entries)


def test_snapshots_are_taken_in_at_their_own_times_and_each_is_told(
    engine: Engine, tmp_path: Path
) -> None:
    for name, content in [
        ("20260301T000000Z.xml", rss([("A", "Acme plans", "")])),
        ("20260302T000000Z.xml", b"<html>away</html>"),
        ("20260303T000000Z.xml", rss([("A", "Acme soars", "")])),
    ]:
        (tmp_path / name).write_bytes(content)
    told: list[tuple[str, IngestCounts]] = []

    def report(snapshot: Snapshot, counts: IngestCounts) -> None:
        told.append((snapshot.path.name[:8], counts))

    total = replay(tmp_path, ingestion(engine), report=report)
    assert total == IngestCounts(
        polls=3, entries=2, repeats=1, distinct=1, stories=1, revisions=1, errors=1
    )
    assert [(day, counts.errors) for day, counts in told] == [
        ("20260301", 0),
        ("20260302", 1),
        ("20260303", 0),
    ]
