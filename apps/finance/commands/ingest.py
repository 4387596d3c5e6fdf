"""``triptych finance ingest``."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.errors import SettingsError
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_connectors.feed_parsing import FeedEntry
    from shared.records import Reject

SHOWN_REJECTS = 5


@click.command()
@click.argument("source", metavar="FILE")
@click.option("--query", help="What to select, where FILE is a database address.")
@click.option("--text-column", help="The column of texts.")
@click.option("--title-column", help="The column of titles.")
@click.option("--author-column", help="The column of authors.")
@click.option("--source-column", help="The column that says where a post was made.")
@click.option("--time-column", help="The column of times.")
@click.option("--link-column", help="The column of links.")
@click.option("--id-column", help="The column of ids, unique within FILE and source.")
@click.option(
    "--origin",
    help="What the ids belong to: with the same origin a post that was read before is known."
    " Unset: the name of FILE.",
)
@json_option
@reports_errors
def ingest(
    source: str, query: str | None, origin: str | None, as_json: bool, **columns: str | None
) -> None:
    """Take in posts and comments from a CSV, TSV, JSON lines or Parquet file, or a SQL query.

    Columns that are not named are found by their usual names. Posts pass the same identity,
    grouping, scoring and index as news.
    """
    from apps.finance.ingest.assembly import open_ingestion
    from apps.finance.ingest.posts import PostColumns, ingest_posts, read_post_query, read_posts

    settings = Settings()
    wanted = PostColumns(**{option.removesuffix("_column"): columns[option] for option in columns})
    posts: Iterator[FeedEntry | Reject]
    if "://" in source:
        if not query:
            raise SettingsError("a database needs --query, which selects the posts")
        posts, name = read_post_query(source, query, wanted), _database_name(source)
    elif query:
        raise SettingsError(f"--query goes with a database address; {source!r} is none")
    else:
        posts, name = read_posts(Path(source), wanted), Path(source).stem
    started = time.perf_counter()
    rejects: list[Reject] = []
    with database(settings) as engine, open_ingestion(settings, engine) as ingestion:
        total = ingest_posts(
            ingestion,
            posts,
            origin=f"posts:{origin or name}"[:120],
            publisher=name,
            now=datetime.now(UTC),
            rejected=rejects.append,
        )
    seconds = round(time.perf_counter() - started, 3)
    for reject in rejects[:SHOWN_REJECTS]:
        say(f"line {reject.line}: {reject.reason}")
    if len(rejects) > SHOWN_REJECTS:
        say(f"and {len(rejects) - SHOWN_REJECTS} more rows were rejected")
    if as_json:
        numbers = {name: value for name, value in asdict(total).items() if name != "polls"}
        print_json({**numbers, "seconds": seconds})
        return
    say(
        f"{total.entries} rows, {total.repeats} known before, {total.distinct} new in"
        f" {total.stories} stories, {total.revisions} reworded, {total.rejected} rejected,"
        f" {seconds:.1f} s"
    )


def _database_name(address: str) -> str:
    """The last part of an address, which holds no password."""
    return address.split("?")[0].rstrip("/").rsplit("/", 1)[-1].rsplit("@", 1)[-1] or "database"
