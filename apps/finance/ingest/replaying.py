"""Snapshots of feeds, played in the order of their times as if they were polled then."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from apps.finance.ingest.counts import IngestCounts
from apps.finance.ingest.pipeline import Ingestion
from shared.errors import EmptyData, UnreadableFile

_NAME = re.compile(r"(\d{8}T\d{6})Z(\.\w+)?")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a feed said at ``at``. All snapshots of one folder are of one feed."""

    path: Path
    at: datetime

    @property
    def origin(self) -> str:
        """The identities of a folder's entries belong together."""
        return f"replay:{self.path.parent.name}"[:120]


def find_snapshots(folder: Path) -> list[Snapshot]:
    """The files named by UTC time, ``20260206T163421Z.xml``, oldest first.

    ``folder`` holds the snapshots of one feed, or a folder of them for each feed. Files of other
    names are no snapshots. Raises UnreadableFile (no such folder) and EmptyData (none in it).
    """
    if not folder.is_dir():
        raise UnreadableFile(f"{folder}: there is no such folder", path=str(folder))
    files = [*folder.resolve().glob("*"), *folder.resolve().glob("*/*")]
    found = [
        Snapshot(path, at)
        for path in files
        if (at := _time_of(path.name)) is not None and path.is_file()
    ]
    if not found:
        raise EmptyData(
            f"{folder}: no file is named by its time in UTC, such as 20260206T163421Z.xml",
            path=str(folder),
        )
    return sorted(found, key=lambda snapshot: (snapshot.at, str(snapshot.path)))


def replay(
    folder: Path,
    ingestion: Ingestion,
    *,
    report: Callable[[Snapshot, IngestCounts], None] = lambda snapshot, counts: None,
) -> IngestCounts:
    """Take in every snapshot at its own time; ``report`` is told of each.

    What was replayed before adds nothing. Raises what ``find_snapshots`` raises.
    """
    total = IngestCounts()
    for snapshot in find_snapshots(folder):
        counts = ingestion.ingest_document(
            snapshot.origin,
            None,
            snapshot.path.read_bytes(),
            snapshot.at,
            publisher=snapshot.path.parent.name,
        )
        report(snapshot, counts)
        total += counts
    return total


def _time_of(name: str) -> datetime | None:
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
