"""Times for events of which only the order is known. Nothing is read or written here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.catalogue import BehaviourEvent

STEP = timedelta(seconds=1)


def stamp_in_order(
    events: Sequence[BehaviourEvent],
    now: datetime,
    newest: Mapping[str, datetime] | None = None,
) -> list[BehaviourEvent]:
    """The events, each with a time: a user's stand one second apart, the last of them at ``now``.

    A user's events come after those that are stored already, the newest of which ``newest`` gives
    by user: they stand closer where one second each would reach back too far, and at one and the
    same time where there is no room at all. Events that have a time keep it.
    """
    left = Counter(event.user for event in events if event.at is None)
    step: dict[str, timedelta] = {}
    for user, count in left.items():
        before = (newest or {}).get(user)
        room = STEP if before is None else (now - before) / count
        step[user] = max(timedelta(0), min(STEP, room))
    end = {user: max(now, (newest or {}).get(user, now)) for user in left}
    stamped = []
    for event in events:
        if event.at is None:
            left[event.user] -= 1
            at = end[event.user] - left[event.user] * step[event.user]
            event = replace(event, at=at)
        stamped.append(event)
    return stamped
