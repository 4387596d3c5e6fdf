"""Which files are snapshots, and in what order they are played."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from apps.finance.ingest.replaying import find_snapshots
from shared.errors import EmptyData, UnreadableFile

pytestmark = pytest.mark.unit


def test_snapshots_of_one_feed_are_played_in_the_order_of_their_times(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    folder.mkdir()
    for name in (
        "20260302T000000Z.xml",
        "20260301T120000Z.rss",
        "notes.txt",
        "20269901T000000Z.xml",
    ):
        (folder / name).write_text("x")
    found = find_snapshots(folder)
    assert [snapshot.at for snapshot in found] == [
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        datetime(2026, 3, 2, tzinfo=UTC),
    ]
    assert {snapshot.origin for snapshot in found} == {"replay:ledger"}


def test_a_folder_of_feeds_is_played_as_time_went(tmp_path: Path) -> None:
    for feed, name in [("a", "20260301T000000Z.xml"), ("b", "20260302T000000Z.xml"),
                       ("a", "20260303T000000Z.xml")]:  # fmt: skip
        (tmp_path / feed).mkdir(exist_ok=True)
        (tmp_path / feed / name).write_text("x")
    found = find_snapshots(tmp_path)
    assert [snapshot.origin for snapshot in found] == ["replay:a", "replay:b", "replay:a"]


def test_what_is_no_folder_of_snapshots_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="no such folder"):
        find_snapshots(tmp_path / "nowhere")
    (tmp_path / "feed.xml").write_text("x")
    with pytest.raises(EmptyData, match="named by its time"):
        find_snapshots(tmp_path)
