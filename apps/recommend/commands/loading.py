"""``triptych recommend load-items`` and ``load-events``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from apps.recommend.commands.tenant_option import tenant_option
from shared.catalogue import EVENT_TYPES, EventType
from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from shared.catalogue import BehaviourData
    from shared.records import Reject

SHOWN_REJECTS = 5

query_option = click.option("--query", help="What to select, where SOURCE is a database address.")


@click.command("load-items")
@click.argument("source")
@query_option
@click.option("--id-column", help="The column of ids.")
@click.option("--title-column", help="The column of titles.")
@click.option("--text-column", help="The column of descriptions.")
@click.option("--category-column", help="The column of categories.")
@click.option("--price-column", help="The column of prices.")
@click.option("--available-column", help="The column that says whether an item can be had.")
@tenant_option
@json_option
@reports_errors
def load_items(
    source: str, query: str | None, tenant: str, as_json: bool, **columns: str | None
) -> None:
    """Take in items: a CSV, TSV, JSON lines or Parquet file, a SQL query, or a named data set.

    Names are movielens-small, amazon-beauty and sample:recommend. Columns that are not named are
    found by their usual names; further ones become attributes. An item whose id is known is
    replaced.
    """
    from apps.recommend.items.store import ItemStore
    from apps.recommend.loading import load_items as load
    from data_connectors.item_files import ItemColumns, read_items

    settings, now, started = Settings(), datetime.now(UTC), time.perf_counter()
    named = _named(source, query, columns, settings, now)
    rows = (
        iter(named.items)
        if named is not None
        else read_items(source, ItemColumns(**_of_record(columns)), query=query)
    )
    with database(settings) as engine, _watched(settings, "items") as (rejected, committed):
        done = load(ItemStore(engine, tenant), rows, now, rejected=rejected, committed=committed)
    if as_json:
        print_json({**asdict(done), "seconds": round(time.perf_counter() - started, 3)})
        return
    say(
        f"{done.added:,} items new, {done.changed:,} changed, {done.unchanged:,} as they were,"
        f" {done.rejected:,} rows rejected, {time.perf_counter() - started:.1f} s"
    )


@click.command("load-events")
@click.argument("source")
@query_option
@click.option("--id-column", help="The column of ids; an event whose id is known is left out.")
@click.option("--user-column", help="The column of users.")
@click.option("--item-column", help="The column of items.")
@click.option("--type-column", help="The column of types.")
@click.option("--time-column", help="The column of times. None: the order of the rows counts.")
@click.option("--session-column", help="The column of sessions.")
@click.option("--value-column", help="The column of ratings, 0 to 5.")
@click.option("--weight-column", help="The column of weights.")
@click.option(
    "--default-type",
    type=click.Choice(EVENT_TYPES),
    default="view",
    show_default=True,
    help="The type of rows that have neither type nor rating.",
)
@tenant_option
@json_option
@reports_errors
def load_events(
    source: str,
    query: str | None,
    default_type: EventType,
    tenant: str,
    as_json: bool,
    **columns: str | None,
) -> None:
    """Take in events: a CSV, TSV, JSON lines or Parquet file, a SQL query, or a named data set.

    Names are movielens-small, amazon-beauty and sample:recommend. Columns that are not named are
    found by their usual names. An event whose id is known changes nothing, so that a load that
    broke off is run again.
    """
    from apps.recommend.events.store import EventStore
    from apps.recommend.loading import load_events as load
    from data_connectors.event_files import EventColumns, read_events

    settings, now, started = Settings(), datetime.now(UTC), time.perf_counter()
    named = _named(source, query, columns, settings, now)
    rows = (
        iter(named.events)
        if named is not None
        else read_events(
            source, EventColumns(**_of_record(columns)), query=query, default_type=default_type
        )
    )
    with database(settings) as engine, _watched(settings, "events") as (rejected, committed):
        done = load(EventStore(engine, tenant), rows, now, rejected=rejected, committed=committed)
    if as_json:
        print_json({**asdict(done), "seconds": round(time.perf_counter() - started, 3)})
        return
    say(
        f"{done.added:,} events new, {done.repeated:,} known before, {done.rejected:,} rows"
        f" rejected, {time.perf_counter() - started:.1f} s"
    )
    if done.unknown_items:
        say(f"{done.unknown_items:,} name items that are not in the catalogue yet")


def _of_record(columns: dict[str, str | None]) -> dict[str, str | None]:
    return {option.removesuffix("_column"): column for option, column in columns.items()}


def _named(
    source: str,
    query: str | None,
    columns: dict[str, str | None],
    settings: Settings,
    now: datetime,
) -> BehaviourData | None:
    """The named data set that ``source`` is; None where it is a file or an address."""
    from apps.recommend.named_data import is_named, load_named
    from data_connectors.downloads import ProgressLine
    from shared.errors import SettingsError

    if not is_named(source):
        return None
    if query or any(columns.values()):
        raise SettingsError(
            f"{source} is a data set with columns of its own: name no query or column"
        )
    return load_named(source, settings, now, progress=ProgressLine(sys.stderr))


@contextmanager
def _watched(
    settings: Settings, unit: str
) -> Iterator[tuple[Callable[[Reject], None], Callable[[int], None]]]:
    """What is told of rejects and of what is committed: a bar, lines for people, and the file."""
    from tqdm import tqdm

    from data_connectors.collecting import RejectsFile
    from data_connectors.data_source import rejects_path

    path: Path = rejects_path(settings)
    seen = 0
    # On a stream that is no terminal the bar moves every few seconds only.
    pace: dict[str, Any] = {"mininterval": 0.2 if sys.stderr.isatty() else 10.0}
    with (
        RejectsFile(path) as file,
        tqdm(desc=f"loading {unit}", unit=f" {unit}", file=sys.stderr, **pace) as bar,
    ):

        def rejected(fault: Reject) -> None:
            nonlocal seen
            seen += 1
            file.add(fault)
            if seen <= SHOWN_REJECTS:
                tqdm.write(f"line {fault.line}: {fault.reason}", file=sys.stderr)

        def committed(count: int) -> None:
            bar.update(count)

        yield rejected, committed
    if seen:
        say(f"{seen:,} rows were rejected, all of them in {path}")
