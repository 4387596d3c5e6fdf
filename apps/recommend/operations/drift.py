"""Whether people do other things than those that a tenant's bundle was fitted on.

The reference is what had arrived when the bundle was made, the live window what came since. Events
of one user are no independent readings: users are permuted, not events.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from shared.catalogue import EVENT_TYPES
from shared.monitoring.drift import DriftLimits, Signal, judge, signal_of
from shared.monitoring.drift_statistics import Shift, grouped_stability_shift
from shared.storage.engine import reading
from shared.storage.recommend_tables import behaviour_events

MOST_EVENTS = 5_000
"""Events of either side, the newest."""
LEAST_USERS = 20

Event = tuple[str, str, str]
"""User, item and type of an event."""


@dataclass(frozen=True, slots=True)
class BehaviourWindow:
    """What was done: a row a user. ``types`` int [users, event types]; ``known`` int [users, 2]:
    events on items that the bundle knows, and on others."""

    types: NDArray[np.int64]
    known: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.types.sum())


def events_around(
    engine: Engine, tenant: str, fitted_at: datetime
) -> tuple[list[Event], list[Event]]:
    """The newest events that had arrived when the bundle was made, and those that came since."""
    table = behaviour_events.c
    sides = []
    for side in (table.received_at <= fitted_at, table.received_at > fitted_at):
        query = (
            select(table.user_id, table.item_id, table.type)
            .where(table.tenant == tenant, side)
            .order_by(table.at.desc(), table.seq.desc())
            .limit(MOST_EVENTS)
        )
        with reading(engine) as connection:
            sides.append([(user, item, type) for user, item, type in connection.execute(query)])
    return sides[0], sides[1]


def behaviour_window(events: list[Event], known_items: frozenset[str]) -> BehaviourWindow:
    """Counts of each user."""
    users = {user: row for row, user in enumerate(sorted({user for user, _, _ in events}))}
    types = np.zeros((len(users), len(EVENT_TYPES)), dtype=np.int64)
    known = np.zeros((len(users), 2), dtype=np.int64)
    column: dict[str, int] = {name: place for place, name in enumerate(EVENT_TYPES)}
    for (user, item, type), count in Counter(events).items():
        types[users[user], column[type]] += count
        known[users[user], int(item not in known_items)] += count
    return BehaviourWindow(types, known)


def compare_behaviour(
    reference: BehaviourWindow, live: BehaviourWindow, limits: DriftLimits, *, seed: int
) -> list[Signal]:
    """The two signals of behaviour, judged; empty where either side has too little."""
    few_events = min(len(reference), len(live)) < limits.least
    if few_events or min(len(reference.types), len(live.types)) < LEAST_USERS:
        return []
    mix = grouped_stability_shift(reference.types, live.types, seed=seed)
    tested = grouped_stability_shift(reference.known, live.known, seed=seed + 1)
    shares = [float(one.known[:, 1].sum() / one.known.sum()) for one in (reference, live)]
    more = max(shares[1] - shares[0], 0.0)
    unknown = Shift(shares[1], shares[0], more, tested.p_value)
    signals = [
        signal_of("behaviour", mix, limits.stability),
        signal_of("unknown_items", unknown, limits.rate),
    ]
    return judge(signals, limits)
