"""``triptych finance feeds``: list, add, remove, mute, unmute and check."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from shared.command_line import (
    author_option,
    database,
    json_option,
    print_json,
    reports_errors,
    say,
)
from shared.errors import DataError, NotFound
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.finance.records import Feed
    from data_connectors.feed_fetching import FetchOutcome

SHOWN_TITLES = 5


@click.group()
def feeds() -> None:
    """List, add, remove and mute feeds. FEED is a feed's id or its address."""


@feeds.command("list")
@json_option
@reports_errors
def list_command(as_json: bool) -> None:
    """List the feeds with how their last polls went."""
    from apps.finance.feeds import FeedStore

    with database(Settings()) as engine:
        found = FeedStore(engine).list()
    if as_json:
        print_json({"feeds": [feed_json(feed) for feed in found]})
        return
    if not found:
        say("there are no feeds: add one with `triptych finance feeds add URL`")
    for feed in found:
        click.echo(f"{feed.id}  {feed.name}  {feed.url}\n    {standing(feed)}")


@feeds.command()
@click.argument("url")
@click.option("--name", help="What to call it; unset: its host.")
@click.option("--interval", type=int, help="Seconds between two polls; unset: 900.")
@author_option
@json_option
@reports_errors
def add(url: str, name: str | None, interval: int | None, author: str, as_json: bool) -> None:
    """Add the feed at URL; the watcher polls it at its next round."""
    from apps.finance.feeds import FeedStore

    settings = Settings()
    settings.address_policy().check_url(url)
    with database(settings) as engine:
        feed = FeedStore(engine).add(url, name, interval, author, datetime.now(UTC))
    _show(feed, as_json, f"feed {feed.id} ({feed.name}) is polled from now on")


@feeds.command()
@click.argument("feed")
@author_option
@json_option
@reports_errors
def remove(feed: str, author: str, as_json: bool) -> None:
    """Forget a feed; its stories stay."""
    from apps.finance.feeds import FeedStore

    with database(Settings()) as engine:
        gone = FeedStore(engine).remove(feed, author, datetime.now(UTC))
    _show(gone, as_json, f"feed {gone.id} ({gone.name}) is removed")


@feeds.command()
@click.argument("feed")
@author_option
@json_option
@reports_errors
def mute(feed: str, author: str, as_json: bool) -> None:
    """Poll a feed no more until it is unmuted."""
    from apps.finance.feeds import FeedStore

    with database(Settings()) as engine:
        muted = FeedStore(engine).mute(feed, author, datetime.now(UTC))
    _show(muted, as_json, f"feed {muted.id} ({muted.name}) is muted")


@feeds.command()
@click.argument("feed")
@author_option
@json_option
@reports_errors
def unmute(feed: str, author: str, as_json: bool) -> None:
    """Poll a muted feed again, at the next round."""
    from apps.finance.feeds import FeedStore

    with database(Settings()) as engine:
        active = FeedStore(engine).unmute(feed, author, datetime.now(UTC))
    _show(active, as_json, f"feed {active.id} ({active.name}) is polled again")


@feeds.command()
@click.argument("feed")
@json_option
@reports_errors
def check(feed: str, as_json: bool) -> None:
    """Fetch FEED, a feed or any address, once, and say what is in it; nothing is stored."""
    from apps.finance.feeds import FeedStore
    from apps.finance.ingest.assembly import open_fetcher
    from data_connectors.feed_fetching import FetchRequest

    settings = Settings()
    with database(settings) as engine:
        try:
            url = FeedStore(engine).get(feed).url
        except NotFound:
            url = feed
    settings.address_policy().check_url(url)
    with open_fetcher(settings) as fetcher:
        outcome = fetcher.fetch(FetchRequest(url, None, None), datetime.now(UTC))
    found = checked(url, outcome)
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['title']}: {found['entries']} entries, {found['rejected']} rejected")
    for title in found["titles"]:
        click.echo(f"  {title}")


def checked(url: str, outcome: FetchOutcome) -> dict[str, Any]:
    """What a document holds. Raises DataError where none came, or one that is no feed."""
    from data_connectors.feed_fetching import Busy, Failed, Fetched
    from data_connectors.feed_parsing import parse_feed

    match outcome:
        case Fetched():
            parsed = parse_feed(outcome.content, url=outcome.url, content_type=outcome.content_type)
        case Failed():
            raise DataError(f"{url}: {outcome.reason}", url=url, status=outcome.status)
        case Busy():
            raise DataError(f"{url}: the server asks to wait ({outcome.status})", url=url)
        case _:
            raise DataError(f"{url}: the server gives no document", url=url)
    return {
        "url": url,
        "found_at": outcome.url,
        "moved_to": outcome.moved_to,
        "title": parsed.title,
        "entries": len(parsed.entries),
        "rejected": len(parsed.rejects),
        "interval_seconds": parsed.interval_seconds,
        "titles": [entry.title or entry.summary[:80] for entry in parsed.entries[:SHOWN_TITLES]],
    }


def standing(feed: Feed) -> str:
    """How a feed is doing, in a line."""
    if feed.state == "muted":
        return f"muted: {feed.notice}" if feed.notice else "muted"
    if feed.last_polled_at is None:
        return "not polled yet"
    after = f"next poll after {feed.update_after:%Y-%m-%d %H:%M} UTC" if feed.update_after else ""
    if feed.failures:
        return f"failed {feed.failures} times in a row: {feed.last_error}; {after}"
    return f"polled {feed.last_polled_at:%Y-%m-%d %H:%M} UTC; {after}"


def feed_json(feed: Feed) -> dict[str, Any]:
    """A feed as JSON; times in ISO 8601."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(feed).items()
    }


def _show(feed: Feed, as_json: bool, line: str) -> None:
    if as_json:
        print_json(feed_json(feed))
    else:
        say(line)
