"""The doctor's checks of what stands in the database: watcher, feeds, deliveries, keys, drift.

Each reads at a moment that it is given, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select

from shared.monitoring.drift_alerts import last_reports
from shared.monitoring.findings import Finding, error, ok, warning
from shared.serving.guards.keys import list_keys
from shared.storage.engine import reading
from shared.storage.finance_tables import deliveries, feeds, leases, stories
from shared.storage.tables import audit_log

WATCHER_LEASE = "finance.watch"
LATE = timedelta(minutes=15)
"""A feed that was due so long ago is not polled."""
FAILURES = 5
STUCK = timedelta(hours=1)
SOON = timedelta(days=14)
SKEW = timedelta(minutes=2)
WATCH = "start `triptych finance watch`"


def watcher(engine: Engine, now: datetime) -> Iterator[Finding]:
    """Whether somebody polls, where there is something to poll."""
    active = select(func.count()).select_from(feeds).where(feeds.c.state == "active")
    lease = select(leases.c.holder, leases.c.expires_at).where(leases.c.name == WATCHER_LEASE)
    with reading(engine) as connection:
        count = connection.scalar(active) or 0
        row = connection.execute(lease).one_or_none()
    if row is not None and row.expires_at > now:
        yield ok("watcher", f"{row.holder} polls {count} active feeds")
    elif not count:
        yield ok("watcher", "no feed is active: none is needed")
    elif row is None:
        yield error("watcher", f"nobody polls {count} active feeds", WATCH)
    else:
        ended = f"{row.expires_at:%Y-%m-%d %H:%M} UTC"
        yield error("watcher", f"nobody has polled {count} active feeds since {ended}", WATCH)


def feeds_lag(engine: Engine, now: datetime) -> Iterator[Finding]:
    """Which feeds are late, and which fail each time."""
    query = select(feeds.c.name, feeds.c.update_after, feeds.c.created_at, feeds.c.failures)
    with reading(engine) as connection:
        rows = connection.execute(query.where(feeds.c.state == "active")).all()
        waiting, oldest = connection.execute(
            select(func.count(), func.min(stories.c.first_seen_at)).where(
                stories.c.scored_at.is_(None)
            )
        ).one()
    late = [row.name for row in rows if (row.update_after or row.created_at) < now - LATE]
    failing = [row.name for row in rows if row.failures >= FAILURES]
    if late:
        yield warning("feeds", f"{len(late)} overdue: {_some(late)}", WATCH)
    if failing:
        yield warning(
            "feeds",
            f"{len(failing)} failed {FAILURES} times or more: {_some(failing)}",
            "see why with `triptych finance feeds list`; remove or mute what is gone",
        )
    if not late and not failing:
        yield ok("feeds", f"{len(rows)} active, none is late")
    if waiting and oldest is not None and oldest < now - STUCK:
        yield warning(
            "stories",
            f"{waiting} wait for a score, the oldest since {oldest:%Y-%m-%d %H:%M} UTC",
            f"put a model in use (`triptych train finance`) and {WATCH}",
        )


def stuck_deliveries(engine: Engine, now: datetime, *, mail: bool) -> Iterator[Finding]:
    """Alerts that did not arrive. ``mail``: whether a mail server is set."""
    table = deliveries.c
    with reading(engine) as connection:
        rows = connection.execute(
            select(table.channel, table.address, table.next_attempt_at, table.last_error).where(
                table.delivered_at.is_(None)
            )
        ).all()
    due = [row for row in rows if row.next_attempt_at and row.next_attempt_at < now - STUCK]
    given_up = [row for row in rows if row.next_attempt_at is None]
    retried = [row for row in rows if row.next_attempt_at and row.last_error and row not in due]
    unsent = [row for row in due if row.channel == "email" and not mail]
    if unsent:
        yield error(
            "deliveries",
            f"{len(unsent)} mails wait for a server",
            "set TRIPTYCH_SMTP_HOST for the watcher",
        )
    if len(due) > len(unsent):
        yield error(
            "deliveries",
            f"{len(due) - len(unsent)} are due for over an hour, unsent",
            f"{WATCH}, or send once: `triptych finance alerts deliver`",
        )
    if retried:
        yield warning(
            "deliveries",
            f"{len(retried)} are tried again: {retried[0].address}: {retried[0].last_error}",
            "see that the receiver answers: `triptych finance alerts targets`",
        )
    if given_up:
        yield warning(
            "deliveries",
            f"{len(given_up)} were given up: {given_up[0].last_error}",
            "see that the receiver answers, and read what it missed with"
            " `triptych finance alerts list`",
        )
    if not (due or given_up or retried):
        yield ok("deliveries", "none is stuck")


def keys(engine: Engine, now: datetime) -> Iterator[Finding]:
    """Whether callers have keys, and which end soon."""
    every = list_keys(engine)
    valid = [key for key in every if key.valid(now)]
    ending = [
        key
        for key in valid
        if key.expires_at and key.expires_at < now + SOON and key.rotated_to is None
    ]
    if every and not valid:
        yield error(
            "keys",
            "no key is valid any more: nobody can call the API",
            "make one: `triptych keys create --name NAME --scope admin`",
        )
    elif not every:
        yield ok("keys", "none: the API serves this machine only")
    elif not any("admin" in key.scopes for key in valid):
        yield warning(
            "keys",
            f"{len(valid)} valid, none of them may administrate",
            "make one: `triptych keys create --name NAME --scope admin`",
        )
    elif not ending:
        yield ok("keys", f"{len(valid)} valid")
    for key in ending:
        yield warning(
            "keys",
            f"{key.name} ({key.id}) ends on {key.expires_at:%Y-%m-%d}",
            f"follow it by another: `triptych keys rotate {key.id}`",
        )


def drift(engine: Engine, now: datetime, *, every: timedelta) -> Iterator[Finding]:
    """What the last comparisons found, and whether they are made at all."""
    reports = last_reports(engine)
    if not reports:
        yield ok("drift", "nothing was compared yet")
    for one in reports:
        app, at = one["app"], datetime.fromisoformat(one["at"])
        drifted = [signal["words"] for signal in one["signals"] if signal["drifted"]]
        if drifted:
            yield warning(
                "drift",
                f"{app}: {'; '.join(drifted)}",
                f"read recent texts, then train again: `triptych drift show`, "
                f"`triptych train {app.partition('_')[0]}`",
            )
        elif every and now - at > 3 * every + timedelta(hours=1):
            yield warning(
                "drift",
                f"{app} was last compared on {at:%Y-%m-%d %H:%M} UTC",
                "start `triptych serve`, or compare: `triptych drift check`",
            )
        else:
            yield ok("drift", f"{app}: {one['verdict']}")


def clock(engine: Engine, now: datetime) -> Iterator[Finding]:
    """Whether this clock agrees with the database's, and with what was written before."""
    mend = "let the system set its clock: `timedatectl set-ntp true`"
    with reading(engine) as connection:
        newest: datetime | None = connection.scalar(select(func.max(audit_log.c.at)))
        theirs: Any = None
        if engine.dialect.name == "postgresql":
            theirs = connection.scalar(select(func.clock_timestamp()))
    if theirs is not None and abs(theirs - now) > SKEW:
        seconds = (now - theirs).total_seconds()
        yield error("clock", f"it is {seconds:+.0f} s off that of the database's machine", mend)
    elif newest is not None and newest > now + SKEW:
        yield error(
            "clock",
            f"it says {now:%Y-%m-%d %H:%M}, and what was done before happened at"
            f" {newest:%Y-%m-%d %H:%M} UTC",
            mend,
        )
    else:
        yield ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
