"""What was shown to whom, and what was clicked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, insert, select

from apps.recommend.experiments.assignment import Assignment
from apps.recommend.experiments.store import ExperimentStore
from apps.recommend.forgetting import forgotten_since
from shared.errors import NotFound
from shared.storage.inserting import insert_into
from shared.storage.recommend_tables import clicks, impressions


class ImpressionLog:
    """The lists and clicks of all tenants; a tenant sees its own only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def assignment(self, tenant: str, user: str) -> Assignment | None:
        """The arm of a user in the experiment that runs, None where none does."""
        experiment = ExperimentStore(self._engine, tenant).running()
        return None if experiment is None else experiment.assignment(user)

    def shown(
        self,
        tenant: str,
        user: str,
        items: Sequence[str],
        assignment: Assignment | None,
        now: datetime,
        *,
        since: datetime | None = None,
    ) -> str | None:
        """Keep that a list was shown; the id of the impression, which clicks name.

        ``since`` is when the request began to read the user's history (``now`` where it is left
        out). Nothing is kept, and None given, where the user was forgotten from then on: the list
        was made of what must not be known any more.
        """
        impression = uuid.uuid4().hex
        row = {
            "id": impression,
            "tenant": tenant,
            "experiment_id": None if assignment is None else assignment.experiment,
            "arm": None if assignment is None else assignment.arm,
            "user_id": user,
            "request_id": impression,
            "items": list(items),
            "at": now,
        }
        with self._engine.begin() as connection:
            if forgotten_since(connection, tenant, user, since or now):
                return None
            connection.execute(insert(impressions).values(row))
        return impression

    def clicked(self, tenant: str, impression: str, item: str, now: datetime) -> bool:
        """Keep a click on an item of a list; False where that item was clicked there before.

        NotFound where the tenant has shown no such list (a forgotten user's is gone), or the list
        did not hold the item.
        """
        # The row is locked, so that forgetting its user waits, or is seen.
        query = (
            select(impressions.c.user_id, impressions.c["items"].label("held"))
            .where(impressions.c.id == impression, impressions.c.tenant == tenant)
            .with_for_update()
        )
        with self._engine.begin() as connection:
            shown = connection.execute(query).one_or_none()
            if shown is None:
                raise NotFound(f"no list {impression[:40]} was shown", impression=impression[:40])
            if item not in shown.held:
                message = f"list {impression} did not hold the item {item!r}"
                raise NotFound(message, impression=impression, item=item)
            once = (
                insert_into(connection, clicks)
                .values(
                    impression_id=impression,
                    tenant=tenant,
                    user_id=shown.user_id,
                    item_id=item,
                    at=now,
                )
                .on_conflict_do_nothing(index_elements=[clicks.c.impression_id, clicks.c.item_id])
                .returning(clicks.c.id)
            )
            return connection.execute(once).first() is not None
