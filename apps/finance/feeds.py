"""The feeds of an installation: added, muted and removed by people, changed by each poll.

Every change but those of a mere poll stands in the audit log.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from apps.finance.ingest.schedule import (
    LONGEST_INTERVAL,
    LONGEST_WAIT,
    SHORTEST_INTERVAL,
    FeedChange,
)
from apps.finance.records import Feed
from shared.errors import Conflict, DataError, NotFound
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.finance_tables import feeds

DEFAULT_INTERVAL = 900
"""Seconds between two polls where nobody says otherwise."""

WATCHER = "the watcher"
"""Who changes a feed where its server asks for it."""

FeedList = list[Feed]

_FROM_POLL = (
    "etag", "last_modified", "update_after", "last_polled_at",
    "last_success_at", "last_error", "failures",
)  # fmt: skip


class FeedStore:
    """Reads and changes feeds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, url: str, name: str | None, interval: int | None, by: str, now: datetime) -> Feed:
        """A feed that is due at once. The name is the host's where none is given.

        The id follows from the address: a feed that is removed and added again knows its entries.
        Whether the address may be called is for the caller to check (``shared.web.addresses``).
        Raises Conflict where the address is a feed already, DataError for an interval outside
        SHORTEST_INTERVAL to LONGEST_INTERVAL seconds.
        """
        url = url.strip()
        interval = DEFAULT_INTERVAL if interval is None else interval
        if not SHORTEST_INTERVAL <= interval <= LONGEST_INTERVAL:
            raise DataError(
                f"a feed is polled every {SHORTEST_INTERVAL} to {LONGEST_INTERVAL} seconds,"
                f" not every {interval}",
                interval=interval,
            )
        row = {
            "id": feed_id(url), "url": url, "name": (name or _host(url)).strip()[:200],
            "state": "active", "interval_seconds": interval, "failures": 0,
            "added_by": by[:120], "created_at": now,
        }  # fmt: skip
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(feeds).values(row))
                _note(connection, "added", feed_id(url), by, now, url=url)
        except IntegrityError:
            raise Conflict(f"{url} is a feed already", url=url) from None
        return self.get(feed_id(url))

    def list(self) -> FeedList:
        """All feeds by name."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(feeds).order_by(feeds.c.name, feeds.c.id)).all()
        return [_feed(row) for row in rows]

    def get(self, id: str) -> Feed:
        """The feed of that id, or of that address. Raises NotFound."""
        of_either = or_(feeds.c.id == id, feeds.c.url == id)
        with reading(self._engine) as connection:
            row = connection.execute(select(feeds).where(of_either)).first()
        if row is None:
            raise NotFound(f"there is no feed {id}", feed_id=id)
        return _feed(row)

    def mute(self, id: str, by: str, now: datetime) -> Feed:
        """Poll it no more until it is unmuted. Raises NotFound."""
        return self._change(id, "muted", by, now, state="muted", notice=None)

    def unmute(self, id: str, by: str, now: datetime) -> Feed:
        """Poll it again, at once, as if it never failed. Raises NotFound."""
        fresh = {"state": "active", "notice": None, "update_after": None, "failures": 0}
        return self._change(id, "unmuted", by, now, **fresh)

    def remove(self, id: str, by: str, now: datetime) -> Feed:
        """Forget the feed; its stories stay. Raises NotFound."""
        feed = self.get(id)
        with self._engine.begin() as connection:
            connection.execute(delete(feeds).where(feeds.c.id == feed.id))
            _note(connection, "removed", feed.id, by, now, url=feed.url)
        return feed

    def due(self, now: datetime) -> FeedList:
        """The active feeds to poll now, the longest waiting first: ``schedule.is_due`` in SQL."""
        query = (
            select(feeds)
            .where(
                feeds.c.state == "active",
                or_(
                    feeds.c.update_after.is_(None),
                    feeds.c.update_after <= now,
                    feeds.c.update_after > now + LONGEST_WAIT,
                ),
            )
            .order_by(feeds.c.update_after.is_not(None), feeds.c.update_after, feeds.c.id)
        )
        with reading(self._engine) as connection:
            return [_feed(row) for row in connection.execute(query)]

    def apply(self, connection: Connection, change: FeedChange) -> bool:
        """Write what a poll changed, in the caller's transaction; False where the feed is gone.

        A person's mute stands. A feed that moved to the address of another feed is muted.
        """
        values: dict[str, Any] = {name: getattr(change, name) for name in _FROM_POLL}
        notice = change.mute_notice
        if change.url != change.polled_url:
            other = connection.scalar(select(feeds.c.name).where(feeds.c.url == change.url))
            if other is None:
                values["url"] = change.url
            else:
                notice = f"it moved to {change.url}, which is the feed {other!r} already"
        if notice is not None:
            values |= {"state": "muted", "notice": notice}
        done = connection.execute(update(feeds).where(feeds.c.id == change.feed_id).values(values))
        if done.rowcount == 0:
            return False
        told = (change.feed_id, WATCHER, change.last_polled_at)
        if "url" in values:
            _note(connection, "moved", *told, url=change.url, before=change.polled_url)
        if notice is not None:
            _note(connection, "muted", *told, notice=notice)
        return True

    def _change(self, id: str, action: str, by: str, now: datetime, **values: Any) -> Feed:
        feed = self.get(id)
        with self._engine.begin() as connection:
            connection.execute(update(feeds).where(feeds.c.id == feed.id).values(values))
            _note(connection, action, feed.id, by, now)
        return self.get(feed.id)


def _note(
    connection: Connection, action: str, feed: str, by: str, at: datetime, **details: str
) -> None:
    told = {"feed": feed, **details}
    record(connection, actor=by, action=f"feed_{action}", details=told, at=at)


def feed_id(url: str) -> str:
    """The id of the feed that is added at an address: 32 hexadecimal digits."""
    return hashlib.blake2b(url.encode(errors="replace"), digest_size=16).hexdigest()


def _feed(row: Row[Any]) -> Feed:
    return Feed(**{field.name: getattr(row, field.name) for field in fields(Feed)})


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url
