"""How good a ranker is under a protocol: tasks, fits, evaluations, and their summary.

Histories -> tasks_of -> measure (fits once a train) -> summary_of
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shared.catalogue import CatalogueItem
from shared.evaluation.ranking import (
    FitRanker,
    RankingEvaluation,
    ScoreUsers,
    evaluate_ranking,
    pooled,
)
from shared.evaluation.ranking_protocols import (
    RankingTask,
    cold_items,
    cold_users,
    leave_one_out,
    temporal,
)
from shared.histories import Histories

Protocol = Literal["temporal", "leave-one-out", "cold-items", "cold-users"]


@dataclass(frozen=True, eq=False, slots=True)
class Measurement:
    """One evaluation a task, in the tasks' order, and the seconds of all fits and all rankings."""

    evaluations: tuple[RankingEvaluation, ...]
    fit_seconds: float
    rank_seconds: float


def tasks_of(
    histories: Histories,
    protocol: Protocol,
    *,
    refit: bool = True,
    windows: int = 10,
    window_days: float = 365.0,
    targets_each: int | None = 1,
    seed: int = 1,
) -> tuple[RankingTask, ...]:
    """What a protocol asks; ``shared.evaluation.ranking_protocols`` says what each option means."""
    match protocol:
        case "temporal":
            return temporal(
                histories, windows=windows, window_days=window_days, targets_each=targets_each
            )
        case "leave-one-out":
            return (leave_one_out(histories, refit=refit),)
        case "cold-items":
            return cold_items(histories, seed=seed)
        case "cold-users":
            return cold_users(histories, seed=seed)


def measure(
    fit: FitRanker,
    tasks: Sequence[RankingTask],
    items: Sequence[CatalogueItem],
    *,
    seed: int,
    vectors: NDArray[np.float32] | None = None,
    report: Callable[[str], None] | None = None,
) -> Measurement:
    """Fit on each task's train (once where neighbours share it) and rank; ``report`` hears of it.

    Raises ValueError where the items are not those of the tasks' rows.
    """
    if tuple(item.id for item in items) != tasks[0].train.item_ids:
        raise ValueError("the items must be those of the histories, in the order of their rows")
    evaluations: list[RankingEvaluation] = []
    fitting = ranking = 0.0
    score: ScoreUsers | None = None
    last: Histories | None = None
    for task in tasks:
        started = perf_counter()
        if score is None or last is not task.train:
            score, last = fit(task.train, items, seed), task.train
        fitted = perf_counter()
        evaluations.append(evaluate_ranking(score, task, vectors=vectors))
        fitting += fitted - started
        ranking += perf_counter() - fitted
        if report is not None:
            report(f"{task.name}: {len(task.users):,} users, {perf_counter() - started:.1f} s")
    return Measurement(tuple(evaluations), fitting, ranking)


def summary_of(
    measurement: Measurement, protocol: Protocol, *, timed: bool, seed: int
) -> dict[str, Any]:
    """The metrics fit for JSON, with 95 % intervals.

    Windows and groups of users are pooled and stand under ``by``; of cold items the metrics are
    those among the unseen, and ``among_all`` has the others. ``descending`` is there where the
    order of events is all that a source gives.
    """
    evaluations = measurement.evaluations
    if protocol == "cold-items":
        unseen, among_all = evaluations
        return {**_plain(unseen, seed, timed), "among_all": _plain(among_all, seed, timed)}
    whole = pooled(evaluations, protocol) if len(evaluations) > 1 else evaluations[0]
    found = _plain(whole, seed, timed)
    if protocol in ("temporal", "cold-users"):
        found["by"] = {one.name: one.metrics for one in evaluations}
    return found


def _plain(evaluation: RankingEvaluation, seed: int, timed: bool) -> dict[str, Any]:
    found = evaluation.summary(seed=seed)
    if timed:
        found.pop("descending", None)
    return found
