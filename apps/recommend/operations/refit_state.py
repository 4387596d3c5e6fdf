"""How far a tenant's refit is, in the database, and what follows from it.

    wished ──> started ──> finished, with or without an error
                  └─> killed: started and never finished; tried once more, then given up

``next_step`` and ``night_missed`` decide and touch nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, Row, select

from shared.storage.engine import reading
from shared.storage.inserting import insert_into
from shared.storage.recommend_tables import behaviour_events, catalogue_state

INTERRUPTED = "the refit was interrupted before it was done; it is tried once more"
GIVEN_UP = "the refit was interrupted twice before it was done: ask for another, and watch memory"

Step = Literal["fit", "fit again", "give up", "wait"]


@dataclass(frozen=True, slots=True)
class RefitState:
    """A tenant's row of ``catalogue_state``. ``error`` is what became of the last refit if it did
    not end in a bundle in use; ``events`` is how many events the last refit was made of."""

    tenant: str
    requested_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    events: int = 0

    @property
    def unfinished(self) -> bool:
        """Whether the last refit that started has not ended: it runs, or was killed."""
        started = self.started_at
        return started is not None and (self.finished_at is None or self.finished_at < started)

    @property
    def wished(self) -> bool:
        """Whether a refit was asked for since the last one started."""
        if self.requested_at is None:
            return False
        return self.started_at is None or self.requested_at > self.started_at


def next_step(state: RefitState) -> Step:
    """What whoever holds the tenant's lease has to do. No refit runs while they hold it."""
    if state.unfinished and not state.wished:
        return "give up" if state.error == INTERRUPTED else "fit again"
    return "fit" if state.wished else "wait"


def last_night(now: datetime, nightly: time) -> datetime:
    """The last time that it was ``nightly`` (UTC), ``now`` included."""
    today = now.replace(
        hour=nightly.hour, minute=nightly.minute, second=nightly.second, microsecond=0
    )
    return today if today <= now else today - timedelta(days=1)


def night_missed(state: RefitState, now: datetime, nightly: time) -> bool:
    """Whether nothing was started or wished since it was last ``nightly``."""
    since = last_night(now, nightly)
    times = [moment for moment in (state.requested_at, state.started_at) if moment is not None]
    return all(moment < since for moment in times)


class RefitLedger:
    """The rows of all tenants."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tenants(self) -> tuple[str, ...]:
        """Tenants with events, in alphabetical order: those that a refit is of use to."""
        tenant = behaviour_events.c.tenant
        with reading(self._engine) as connection:
            return tuple(connection.scalars(select(tenant).distinct().order_by(tenant)))

    def states(self) -> tuple[RefitState, ...]:
        """All tenants that ever had a refit or a wish for one, in alphabetical order."""
        query = select(catalogue_state).order_by(catalogue_state.c.tenant)
        with reading(self._engine) as connection:
            return tuple(_state(row) for row in connection.execute(query))

    def read(self, tenant: str) -> RefitState:
        """How far the tenant's refit is; empty for one that never had any."""
        query = select(catalogue_state).where(catalogue_state.c.tenant == tenant)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return RefitState(tenant) if row is None else _state(row)

    def wish(self, tenant: str, now: datetime) -> None:
        """Ask for a refit. Whoever asks while one waits gets that one."""
        self._write(tenant, refit_requested_at=now)

    def start(self, tenant: str, now: datetime, *, again: bool = False) -> None:
        """A refit starts; ``again`` where it is the second try of one that was interrupted."""
        self._write(tenant, refit_started_at=now, refit_error=INTERRUPTED if again else None)

    def finish(
        self, tenant: str, now: datetime, *, error: str | None = None, events: int | None = None
    ) -> None:
        """The refit ended. ``events`` is what it was made of, where it got so far."""
        made_of = {} if events is None else {"events_at_refit": events}
        self._write(tenant, refit_finished_at=now, refit_error=error, **made_of)

    def _write(self, tenant: str, **values: object) -> None:
        row = {"tenant": tenant, "events_at_refit": 0, "settings": {}, **values}
        with self._engine.begin() as connection:
            connection.execute(
                insert_into(connection, catalogue_state)
                .values(row)
                .on_conflict_do_update(index_elements=["tenant"], set_=values)
            )


def _state(row: Row[Any]) -> RefitState:
    return RefitState(
        row.tenant,
        row.refit_requested_at,
        row.refit_started_at,
        row.refit_finished_at,
        row.refit_error,
        row.events_at_refit,
    )
