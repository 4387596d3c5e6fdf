"""A tenant's catalogue in the database, and the number by which others follow it.

Each transaction that writes first takes the counter "catalogue:<tenant>" one further and holds it
until it ends, so that writers of one tenant follow each other and a change number, once seen,
stands for everything that was written up to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select, update

from apps.recommend.items.rows import WRITTEN, as_item, as_row, says_the_same
from shared.catalogue import CatalogueItem
from shared.errors import DataError
from shared.storage.counters import add_to_counter, counter_value
from shared.storage.engine import reading
from shared.storage.inserting import insert_into
from shared.storage.recommend_tables import catalogue_items
from shared.tenants import check_tenant

_AT_ONCE = 1_000
"""Ids of one query: both databases limit the parameters of a statement."""


@dataclass(frozen=True, slots=True)
class UpsertCounts:
    """What an upsert did, in items; a changed one had other words, price or attributes before."""

    added: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class ItemChanges:
    """What follows a change number: the newest number, items to put in place, ids to drop."""

    change: int
    items: tuple[CatalogueItem, ...]
    deleted: tuple[str, ...]


class ItemStore:
    """The catalogue of one tenant; safe between threads and processes.

    Raises SettingsError for a name that no tenant can have.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self.engine = engine
        self.tenant = check_tenant(tenant)
        self._counter = f"catalogue:{tenant}"
        self._mine = catalogue_items.c.tenant == tenant
        self._listed = self._mine & catalogue_items.c.deleted.is_(False)

    def upsert(self, items: Sequence[CatalogueItem], now: datetime) -> UpsertCounts:
        """Write items in one transaction; of several with one id the last stays.

        An item that already says the same is left alone, so that nobody who follows the catalogue
        reads it again. Raises DataError, and writes none, where an item cannot be stored.
        """
        wanted = {item.id: _checked_row(item) for item in items}
        if not wanted:
            return UpsertCounts(0, 0, 0)
        with self.engine.begin() as connection:
            change = self._next_change(connection)
            known = {
                row.id: row
                for ids in _portions(list(wanted))
                for row in connection.execute(
                    select(catalogue_items).where(self._mine, catalogue_items.c.id.in_(ids))
                )
            }
            written = [
                {
                    **row,
                    "tenant": self.tenant,
                    "change": change,
                    "created_at": now,
                    "updated_at": now,
                }
                for id, row in wanted.items()
                if id not in known or not says_the_same(known[id], row)
            ]
            if written:
                insert = insert_into(connection, catalogue_items)
                replaced = (*WRITTEN, "deleted", "change", "updated_at")
                connection.execute(
                    insert.on_conflict_do_update(
                        index_elements=["tenant", "id"],
                        set_={name: insert.excluded[name] for name in replaced},
                    ),
                    written,
                )
        listed = {id for id, row in known.items() if not row.deleted}
        changed = sum(row["id"] in listed for row in written)
        return UpsertCounts(len(written) - changed, changed, len(wanted) - len(written))

    def delete(self, ids: Sequence[str], now: datetime) -> int:
        """Take items out of the catalogue, in one transaction; how many of them were in it."""
        if not ids:
            return 0
        removed = 0
        with self.engine.begin() as connection:
            change = self._next_change(connection)
            for portion in _portions(list(dict.fromkeys(ids))):
                removed += connection.execute(
                    update(catalogue_items)
                    .where(self._listed, catalogue_items.c.id.in_(portion))
                    .values(
                        deleted=True,
                        title="",
                        text="",
                        category=None,
                        price=None,
                        attributes={},
                        change=change,
                        updated_at=now,
                    )
                ).rowcount
        return removed

    def get(self, id: str) -> CatalogueItem | None:
        """The item, None where there is none of that id."""
        query = select(catalogue_items).where(self._listed, catalogue_items.c.id == id)
        with reading(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else as_item(row)

    def count(self) -> int:
        """How many items the catalogue has."""
        with reading(self.engine) as connection:
            found = connection.scalar(
                select(func.count()).select_from(catalogue_items).where(self._listed)
            )
        return int(found or 0)

    def change(self) -> int:
        """The newest change number: who has read up to it has read everything."""
        with reading(self.engine) as connection:
            return counter_value(connection, self._counter)

    def changes_since(self, change: int) -> ItemChanges:
        """What was written after the change number. Something written just now may come again."""
        query = select(catalogue_items).where(self._mine, catalogue_items.c.change > change)
        with reading(self.engine) as connection:
            newest = counter_value(connection, self._counter)  # before the rows, never after
            rows: Sequence[Row[Any]] = connection.execute(query.order_by("change", "id")).all()
        return ItemChanges(
            newest,
            tuple(as_item(row) for row in rows if not row.deleted),
            tuple(row.id for row in rows if row.deleted),
        )

    def all(self) -> Iterator[CatalogueItem]:
        """Every item in the order of the ids, read as it is asked for."""
        query = select(catalogue_items).where(self._listed).order_by(catalogue_items.c.id)
        with reading(self.engine) as connection:
            rows = connection.execution_options(yield_per=_AT_ONCE).execute(query)
            for row in rows:
                yield as_item(row)

    def _next_change(self, connection: Connection) -> int:
        add_to_counter(connection, self._counter)
        return counter_value(connection, self._counter)


def _checked_row(item: CatalogueItem) -> dict[str, Any]:
    try:
        return as_row(item)
    except ValueError as error:
        raise DataError(f"item {item.id!r} cannot be stored: {error}", item=item.id) from error


def _portions(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
