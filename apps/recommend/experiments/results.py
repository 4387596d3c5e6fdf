"""An experiment in numbers: how many lists of each arm were clicked, and by how much arms differ.

A list counts once, however many of its items were clicked. The intervals take lists as independent
of one another; where few users see many lists each, they are narrower than they should be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from apps.recommend.experiments.intervals import Interval, newcombe, wilson
from apps.recommend.experiments.store import Experiment, ExperimentStore
from shared.storage.engine import reading
from shared.storage.recommend_tables import clicks, impressions


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Lists of an arm that were shown, those with a click at all, and users who saw one."""

    impressions: int
    clicked: int
    users: int


NONE_SHOWN = ArmCounts(0, 0, 0)


@dataclass(frozen=True, slots=True)
class ArmResult:
    """An arm's counts, its click rate, and how much that is above the first arm's (None for the
    first arm itself)."""

    name: str
    counts: ArmCounts
    rate: Interval
    difference: Interval | None


@dataclass(frozen=True, slots=True)
class Results:
    """An experiment and its arms, in their order."""

    experiment: Experiment
    arms: tuple[ArmResult, ...]


def results(engine: Engine, tenant: str, experiment_id: str) -> Results:
    """What an experiment has shown so far. NotFound where the tenant has none of that id."""
    experiment = ExperimentStore(engine, tenant).get(experiment_id)
    names = [arm.name for arm in experiment.arms]
    return Results(experiment, compare(names, _counts(engine, tenant, experiment_id)))


def compare(names: Sequence[str], counts: Mapping[str, ArmCounts]) -> tuple[ArmResult, ...]:
    """The arms of these names, the first of which the others are compared with. Pure."""
    first = counts.get(names[0], NONE_SHOWN)
    compared = []
    for place, name in enumerate(names):
        own = counts.get(name, NONE_SHOWN)
        difference = newcombe(own.clicked, own.impressions, first.clicked, first.impressions)
        rate = wilson(own.clicked, own.impressions)
        compared.append(ArmResult(name, own, rate, difference if place else None))
    return tuple(compared)


def _counts(engine: Engine, tenant: str, experiment_id: str) -> dict[str, ArmCounts]:
    clicked = select(clicks.c.impression_id).distinct().subquery()
    query = (
        select(
            impressions.c.arm,
            func.count(),
            func.count(clicked.c.impression_id),
            func.count(impressions.c.user_id.distinct()),
        )
        .select_from(impressions)
        .outerjoin(clicked, clicked.c.impression_id == impressions.c.id)
        .where(impressions.c.tenant == tenant, impressions.c.experiment_id == experiment_id)
        .group_by(impressions.c.arm)
    )
    with reading(engine) as connection:
        return {
            arm: ArmCounts(shown, hits, users)
            for arm, shown, hits, users in connection.execute(query)
        }
