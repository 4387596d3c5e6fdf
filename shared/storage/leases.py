"""A lease in the database: of several processes one works, and another follows when it dies.

Only whoever holds the row may work, and only until it expires; the holder renews it well before.
A process that was stopped for long finds its lease gone when it renews, and stops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, or_, select, update

from shared.storage.engine import reading
from shared.storage.finance_tables import leases
from shared.storage.inserting import insert_into


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do what ``name`` says, for ``holder``, ``seconds`` at a time.

    ``holder`` names one process and no other, a later one of the same machine included.
    """

    engine: Engine
    name: str
    holder: str
    seconds: float = 45.0

    def acquire(self, now: datetime) -> bool:
        """Take the lease if it is free, expired or mine already; whether it is mine now.

        A lease that ends later than any lease can was written while the clock ran ahead: free.
        """
        until = now + timedelta(seconds=self.seconds)
        row = insert_into(self.engine, leases).values(
            name=self.name, holder=self.holder, acquired_at=now, expires_at=until
        )
        take = row.on_conflict_do_update(
            index_elements=[leases.c.name],
            set_={"holder": self.holder, "acquired_at": now, "expires_at": until},
            where=or_(
                leases.c.holder == self.holder,
                leases.c.expires_at <= now,
                leases.c.expires_at > until,
            ),
        ).returning(leases.c.holder)
        with self.engine.begin() as connection:
            return connection.execute(take).first() is not None

    def renew(self, now: datetime) -> bool:
        """Hold it for another while; False where another holds it by now."""
        with self.engine.begin() as connection:
            done = connection.execute(
                update(leases)
                .where(leases.c.name == self.name, leases.c.holder == self.holder)
                .values(expires_at=now + timedelta(seconds=self.seconds))
            )
        return done.rowcount == 1

    def lapsed_at(self, now: datetime) -> datetime | None:
        """When another's lease ended without being released; None where none did."""
        query = select(leases.c.expires_at).where(
            leases.c.name == self.name,
            leases.c.holder != self.holder,
            leases.c.expires_at <= now,
        )
        with reading(self.engine) as connection:
            ended: datetime | None = connection.scalar(query)
        return ended

    def release_dead(self, is_dead: Callable[[str], bool], now: datetime) -> bool:
        """Free the lease where ``is_dead`` says so of the name that holds it; whether it did.

        It then ended when it was renewed last, which was the dead process's last sign of life.
        """
        query = select(leases.c.holder, leases.c.expires_at).where(leases.c.name == self.name)
        with reading(self.engine) as connection:
            row = connection.execute(query).first()
        if row is None or row.expires_at <= now or row.holder == self.holder:
            return False
        if not is_dead(row.holder):
            return False
        with self.engine.begin() as connection:
            done = connection.execute(
                update(leases)
                .where(leases.c.name == self.name, leases.c.holder == row.holder)
                .values(expires_at=min(now, row.expires_at - timedelta(seconds=self.seconds)))
            )
        return done.rowcount == 1

    def release(self) -> None:
        """Leave it to others at once; nothing happens where another holds it."""
        with self.engine.begin() as connection:
            connection.execute(
                delete(leases).where(leases.c.name == self.name, leases.c.holder == self.holder)
            )
