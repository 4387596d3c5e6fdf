"""Experiments in the database. Each change is written to the audit log."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Engine, Row, Select, delete, insert, select, update

from apps.recommend.experiments.assignment import Arm, Assignment, assign, checked_arms
from shared.errors import Conflict, DataError, NotFound
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.recommend_tables import experiments, impressions

MAX_NAME = 120


@dataclass(frozen=True, slots=True)
class Experiment:
    """An A/B test. Its arms never change: a user keeps the one that ``salt`` gives."""

    id: str
    name: str
    arms: tuple[Arm, ...]
    salt: str
    state: Literal["running", "stopped"]
    created_by: str
    created_at: datetime
    stopped_at: datetime | None

    def assignment(self, user: str) -> Assignment:
        """The arm that a user is in."""
        arm = assign(self.salt, user, self.arms)
        return Assignment(self.id, arm.name, dict(arm.settings))


class ExperimentStore:
    """The experiments of one tenant."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._engine = engine
        self._tenant = tenant

    def create(self, name: str, arms: Sequence[Arm], *, author: str, now: datetime) -> Experiment:
        """An experiment that runs from now on. DataError says what is wrong with it."""
        if not name.strip() or len(name) > MAX_NAME:
            raise DataError(f"an experiment's name has 1 to {MAX_NAME} characters")
        made = Experiment(
            id=uuid.uuid4().hex,
            name=name.strip(),
            arms=checked_arms(arms),
            salt=secrets.token_hex(16),
            state="running",
            created_by=author[:120],
            created_at=now,
            stopped_at=None,
        )
        row = {
            "tenant": self._tenant,
            "id": made.id,
            "name": made.name,
            "arms": [arm.as_json() for arm in made.arms],
            "salt": made.salt,
            "state": made.state,
            "created_by": made.created_by,
            "created_at": now,
        }
        with self._engine.begin() as connection:
            connection.execute(insert(experiments).values(row))
            details = {"experiment": made.id, "name": made.name, "tenant": self._tenant}
            record(connection, actor=author, action="experiment_started", details=details, at=now)
        return made

    def list(self) -> tuple[Experiment, ...]:
        """All experiments, the newest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(self._newest()).all()
        return tuple(_experiment(row) for row in rows)

    def get(self, experiment_id: str) -> Experiment:
        """One experiment. NotFound where the tenant has none of that id."""
        with reading(self._engine) as connection:
            row = connection.execute(
                self._newest().where(experiments.c.id == experiment_id)
            ).one_or_none()
        if row is None:
            raise self._not_found(experiment_id)
        return _experiment(row)

    def running(self) -> Experiment | None:
        """The experiment that decides: of those that run, the newest."""
        query = self._newest().where(experiments.c.state == "running").limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _experiment(row)

    def stop(self, experiment_id: str, *, author: str, now: datetime) -> Experiment:
        """Assign nobody any more; what was counted stays. NotFound; Conflict if it has stopped."""
        change = (
            update(experiments)
            .where(
                experiments.c.tenant == self._tenant,
                experiments.c.id == experiment_id,
                experiments.c.state == "running",
            )
            .values(state="stopped", stopped_at=now)
        )
        with self._engine.begin() as connection:
            stopped = connection.execute(change).rowcount
            if stopped:
                details = {"experiment": experiment_id, "tenant": self._tenant}
                record(
                    connection, actor=author, action="experiment_stopped", details=details, at=now
                )
        found = self.get(experiment_id)
        if not stopped:
            raise Conflict(f"experiment {found.name} has stopped already", experiment=found.id)
        return found

    def remove(self, experiment_id: str, *, author: str, now: datetime) -> None:
        """Forget an experiment with what was counted. NotFound; Conflict while it runs."""
        mine = (experiments.c.tenant == self._tenant, experiments.c.id == experiment_id)
        with self._engine.begin() as connection:
            found = connection.execute(
                select(experiments.c.name, experiments.c.state).where(*mine).with_for_update()
            ).one_or_none()
            if found is None:
                raise self._not_found(experiment_id)
            if found.state == "running":
                message = f"experiment {found.name} runs: stop it before you remove it"
                raise Conflict(message, experiment=experiment_id)
            connection.execute(
                delete(impressions).where(
                    impressions.c.tenant == self._tenant,
                    impressions.c.experiment_id == experiment_id,
                )
            )
            connection.execute(delete(experiments).where(*mine))
            details = {"experiment": experiment_id, "name": found.name, "tenant": self._tenant}
            record(connection, actor=author, action="experiment_removed", details=details, at=now)

    def _newest(self) -> Select[Any]:
        newest = (experiments.c.created_at.desc(), experiments.c.id)
        return select(experiments).where(experiments.c.tenant == self._tenant).order_by(*newest)

    def _not_found(self, experiment_id: str) -> NotFound:
        return NotFound(f"there is no experiment {experiment_id}", experiment=experiment_id)


def _experiment(row: Row[Any]) -> Experiment:
    values = dict(row._mapping)
    del values["tenant"]
    arms = tuple(Arm(arm["name"], arm["share"], arm["settings"]) for arm in values.pop("arms"))
    return Experiment(arms=arms, **values)
