"""A/B tests and clicks as the API tells of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine

from apps.recommend.experiments.assignment import Arm
from apps.recommend.experiments.impressions import ImpressionLog
from apps.recommend.experiments.results import ArmResult, results
from apps.recommend.experiments.store import Experiment, ExperimentStore
from shared.api import recommend_operations


class ExperimentService:
    """What the routes of experiments and clicks call; every method blocks.

    ``clicked`` is called for each click that was not counted before.
    """

    def __init__(
        self,
        engine: Engine,
        impressions: ImpressionLog,
        *,
        clock: Callable[[], datetime],
        clicked: Callable[[], None] = lambda: None,
    ) -> None:
        self._clicked = clicked
        self._engine = engine
        self._impressions = impressions
        self._clock = clock

    def experiments(self, tenant: str) -> recommend_operations.Experiments:
        """All experiments, newest first."""
        found = ExperimentStore(self._engine, tenant).list()
        return recommend_operations.Experiments(experiments=[as_experiment(one) for one in found])

    def create(
        self, tenant: str, body: recommend_operations.ExperimentBody
    ) -> recommend_operations.ExperimentShape:
        """An A/B test that runs from now on. Raises DataError for arms that cannot be."""
        arms = [
            Arm(arm.name, arm.share, arm.settings.model_dump(exclude_none=True))
            for arm in body.arms
        ]
        store = ExperimentStore(self._engine, tenant)
        return as_experiment(store.create(body.name, arms, author=body.author, now=self._clock()))

    def stop(
        self, tenant: str, experiment_id: str, author: str
    ) -> recommend_operations.ExperimentShape:
        """Assign nobody any more. Raises NotFound, and Conflict where it has stopped already."""
        store = ExperimentStore(self._engine, tenant)
        return as_experiment(store.stop(experiment_id, author=author, now=self._clock()))

    def delete(self, tenant: str, experiment_id: str, author: str) -> None:
        """Forget a stopped one, with what was counted. Raises NotFound, Conflict while it runs."""
        store = ExperimentStore(self._engine, tenant)
        store.remove(experiment_id, author=author, now=self._clock())

    def results(self, tenant: str, experiment_id: str) -> recommend_operations.ExperimentResults:
        """An experiment in numbers. Raises NotFound."""
        found = results(self._engine, tenant, experiment_id)
        return recommend_operations.ExperimentResults(
            experiment=as_experiment(found.experiment),
            arms=[as_arm_result(arm) for arm in found.arms],
            differences=[
                recommend_operations.ArmDifference(
                    name=arm.name,
                    difference=arm.difference.estimate,
                    low=arm.difference.low,
                    high=arm.difference.high,
                )
                for arm in found.arms
                if arm.difference is not None
            ],
        )

    def click(self, tenant: str, impression: str, item: str) -> recommend_operations.ClickShape:
        """A click on an entry of a list. Raises NotFound for a list that did not hold the item."""
        counted = self._impressions.clicked(tenant, impression, item, self._clock())
        if counted:
            self._clicked()
        return recommend_operations.ClickShape(counted=counted)


def as_experiment(experiment: Experiment) -> recommend_operations.ExperimentShape:
    """An experiment without its salt."""
    return recommend_operations.ExperimentShape(
        id=experiment.id,
        name=experiment.name,
        state=experiment.state,
        arms=[
            recommend_operations.ArmShape(
                name=arm.name,
                share=arm.share,
                settings=recommend_operations.ArmSettings.model_validate(dict(arm.settings)),
            )
            for arm in experiment.arms
        ],
        created_by=experiment.created_by,
        created_at=experiment.created_at,
        stopped_at=experiment.stopped_at,
    )


def as_arm_result(arm: ArmResult) -> recommend_operations.ArmResult:
    """An arm's rate with its interval."""
    return recommend_operations.ArmResult(
        name=arm.name,
        impressions=arm.counts.impressions,
        clicks=arm.counts.clicked,
        rate=arm.rate.estimate,
        low=arm.rate.low,
        high=arm.rate.high,
    )
