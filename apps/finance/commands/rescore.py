"""``triptych finance rescore``: stored stories by the version that is in use now."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime

import click

from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.settings import Settings


@click.command()
@click.option(
    "--since",
    metavar="TIME",
    help="Stories read since: a date, a time, or 36h, 10d, 4w; unset: all.",
)
@click.option(
    "--again", is_flag=True, help="Those that this version scored, too: rules or companies changed."
)
@json_option
@reports_errors
def rescore(since: str | None, again: bool, as_json: bool) -> None:
    """Score stored stories again where another version has scored them, the newest first.

    Killed and started again, it goes on (with --again it begins anew). The index follows from the
    stored scores; no alert is raised by it. The watcher does the same by itself for the last days
    (TRIPTYCH_RESCORE_DAYS).
    """
    from apps.finance.ingest.rescoring import Rescored, Rescoring
    from apps.finance.scoring.in_use import scorer_for
    from apps.finance.training_data import APP
    from models.registry import ModelRegistry
    from shared.durations import read_moment
    from shared.errors import NotReady
    from shared.finetuning.progress import ConsoleProgress

    settings, begun, total = Settings(), time.monotonic(), Rescored()
    now = datetime.now(UTC)
    first = None if since is None else read_moment(since, now)
    before = now if again else None
    registry = ModelRegistry(settings.models)
    with database(settings) as engine, ConsoleProgress() as progress:
        scorer = scorer_for(settings, registry, engine, noted=False)
        if scorer.version is None:
            raise NotReady("no version is in use: run `triptych train finance` first", app=APP)
        rescoring = Rescoring(engine, scorer, in_use=lambda: registry.in_use(APP))
        waiting = rescoring.waiting(since=first, before=before)
        if waiting:
            progress.start("stories", waiting, unit="story")
        while (done := rescoring.step(datetime.now(UTC), since=first, before=before)).taken:
            total += done
            progress.advance(done.taken)
        progress.finish()
        left = rescoring.waiting(since=first, before=before)
    told = {"version": scorer.version, **asdict(total), "left": left}
    if as_json:
        print_json({**told, "seconds": round(time.monotonic() - begun, 3)})
    elif not waiting:
        say(f"all stories are scored by {scorer.version}")
    else:
        say(f"{total.written} stories scored by {scorer.version}, {total.changed} of another label")
    if total.failed:
        say(f"{total.failed} stories cannot be scored and keep what they had: see above why")
    if (others := left - total.failed) > 0:
        say(f"{others} stories are still in line: another version came into use; start it again")
