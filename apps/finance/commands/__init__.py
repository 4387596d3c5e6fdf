"""The ``triptych finance`` group. Each command is imported when it runs."""

from __future__ import annotations

import click

from shared.command_line import LazyGroup

_HERE = "apps.finance.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "watch": (f"{_HERE}.watch:watch", "Poll the feeds as they fall due, until stopped."),
        "replay": (f"{_HERE}.replay:replay", "Play a folder of snapshots as if polled then."),
        "ingest": (f"{_HERE}.ingest:ingest", "Take in posts and comments from a file or query."),
        "feeds": (f"{_HERE}.feeds:feeds", "List, add, remove and mute feeds."),
        "companies": (f"{_HERE}.companies:companies", "The watch list, and what links to it."),
        "score": (f"{_HERE}.score:score", "Score texts overall and per company."),
        "rescore": (f"{_HERE}.rescore:rescore", "Score stored stories by the version in use."),
        "index": (f"{_HERE}.index:index", "The sentiment index over time."),
        "alerts": (f"{_HERE}.alerts:alerts", "Rules, alerts and where they are sent."),
        "backtest": (f"{_HERE}.backtest:backtest", "When rules would have fired."),
    },
)
def finance() -> None:
    """The finance monitor: feeds, scores, index, alerts."""
