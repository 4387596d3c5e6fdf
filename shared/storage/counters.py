"""Numbers in the database that only grow; one of them can stand for "nobody wrote in between"."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from shared.storage.finance_tables import counters
from shared.storage.inserting import insert_into


def add_to_counter(connection: Connection, name: str, by: int = 1) -> None:
    """Let the counter grow; a missing one counts from 0."""
    _ensure(connection, name)
    connection.execute(
        update(counters).where(counters.c.name == name).values(value=counters.c.value + by)
    )


def counter_value(connection: Connection, name: str) -> int:
    """What the counter stands at; 0 for a missing one."""
    value = connection.scalar(select(counters.c.value).where(counters.c.name == name))
    return int(value or 0)


def claim_counter(connection: Connection, name: str, expected: int) -> bool:
    """Count one further if the counter still stands at ``expected``; else change nothing.

    True locks the row until the transaction ends: of those that read the same value one wins.
    """
    _ensure(connection, name)
    done = connection.execute(
        update(counters)
        .where(counters.c.name == name, counters.c.value == expected)
        .values(value=expected + 1)
    )
    return done.rowcount == 1


def _ensure(connection: Connection, name: str) -> None:
    row = insert_into(connection, counters).values(name=name, value=0)
    connection.execute(row.on_conflict_do_nothing(index_elements=[counters.c.name]))
