"""How far a tenant's fit is, as it stands in the database, and asking for another."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, select

from apps.recommend.events.store import EventStore
from shared.api.recommend_operations import RefitShape, RefitState
from shared.storage.engine import reading
from shared.storage.inserting import insert_into
from shared.storage.recommend_tables import catalogue_state


class StoredRefits:
    """The row of ``catalogue_state``: whoever fits reads the wish there and writes how it went."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def request(self, tenant: str, author: str, now: datetime) -> None:
        """Wish for another fit. Whoever wishes while one waits gets that one."""
        with self._engine.begin() as connection:
            row = insert_into(connection, catalogue_state).values(
                tenant=tenant, refit_requested_at=now, events_at_refit=0, settings={}
            )
            connection.execute(
                row.on_conflict_do_update(
                    index_elements=["tenant"], set_={"refit_requested_at": now}
                )
            )

    def state(self, tenant: str) -> RefitShape:
        """How far the fit is."""
        query = select(catalogue_state).where(catalogue_state.c.tenant == tenant)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        events = EventStore(self._engine, tenant).count()
        if row is None:
            return RefitShape(state="idle", events_now=events)
        return RefitShape(
            state=state_of(
                row.refit_requested_at,
                row.refit_started_at,
                row.refit_finished_at,
                row.refit_error,
            ),
            requested_at=row.refit_requested_at,
            started_at=row.refit_started_at,
            finished_at=row.refit_finished_at,
            error=row.refit_error,
            events_at_refit=row.events_at_refit,
            events_now=events,
        )


def state_of(
    requested: datetime | None,
    started: datetime | None,
    finished: datetime | None,
    error: str | None,
) -> RefitState:
    """What the times say: started and not finished runs, asked for after the start waits."""
    if started is not None and (finished is None or finished < started):
        return "running"
    if requested is not None and (started is None or requested > started):
        return "waiting"
    return "failed" if error else "idle"
