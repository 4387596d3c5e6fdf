"""``triptych finance replay``."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.finance.ingest.counts import IngestCounts
    from apps.finance.ingest.replaying import Snapshot


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@reports_errors
def replay(folder: Path, as_json: bool) -> None:
    """Take in the snapshots in FOLDER, each as if it was polled at the time that it is named by.

    FOLDER holds files such as 20260206T163421Z.xml, or a folder of them for each feed. What was
    replayed before adds nothing.
    """
    from apps.finance.ingest.assembly import open_ingestion
    from apps.finance.ingest.replaying import replay as replay_folder

    def report(snapshot: Snapshot, counts: IngestCounts) -> None:
        if counts.errors:
            say(f"{snapshot.path} is no feed")

    settings = Settings()
    started = time.perf_counter()
    with database(settings) as engine, open_ingestion(settings, engine, send=False) as ingestion:
        total = replay_folder(folder, ingestion, report=report)
    seconds = round(time.perf_counter() - started, 3)
    if as_json:
        print_json({**asdict(total), "seconds": seconds})
        return
    say(
        f"{total.polls} polls, {total.entries} entries, {total.repeats} known before,"
        f" {total.distinct} new in {total.stories} stories, {total.revisions} reworded,"
        f" {total.rejected} rejected, {total.errors} no feeds, {seconds:.1f} s"
    )
