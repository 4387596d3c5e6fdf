"""One evaluator for every model's rankings: all unseen items ranked, ties against the target.

    RankingTask, ScoreUsers -> evaluate_ranking -> RankingEvaluation (ranks, lists, metrics)

No negatives are sampled: Krichene and Rendle, "On sampled metrics for item recommendation", 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.catalogue import CatalogueItem
from shared.evaluation import ranking_metrics as measure
from shared.evaluation.ranking_metrics import Numbers
from shared.evaluation.ranking_protocols import RankingTask
from shared.histories import Histories, Rows

Scores = NDArray[np.float32]

ScoreUsers = Callable[[Histories, Rows], Scores]
"""Scores of all items, float32 [users, items], for users (int64 [users]) of some histories.

Minus infinity keeps an item out of the list. The array is the evaluator's: it writes in it.
"""

FitRanker = Callable[[Histories, Sequence[CatalogueItem], int], ScoreUsers]
"""Fits a model on histories and the items of their rows, with a seed."""


@dataclass(frozen=True, eq=False, slots=True)
class RankingEvaluation:
    """What came of one model on one task, or on several pooled.

    ``ranks`` int64 [t] are those of all targets, from 0; ``owners`` [t] the list of each.
    ``per_list`` holds a number a list (float64 [u]) by ``metric@k``, ``user_ids`` whose list it is
    and ``descends`` whether its target stands before the last item of the history in the order of
    ids, for lists with one target. ``shown`` int64 [u, greatest k] are the lists, best row first,
    -1 where nothing was left to show.
    """

    name: str
    ks: tuple[int, ...]
    ranks: Rows
    owners: Rows
    weights: Numbers
    per_list: Mapping[str, Numbers]
    shown: Rows
    candidates: NDArray[np.bool_]
    user_ids: tuple[str, ...]
    descends: NDArray[np.bool_]

    @property
    def lists(self) -> int:
        """How many lists were ranked: one a user and window."""
        return len(self.user_ids)

    @property
    def metrics(self) -> dict[str, float]:
        """Means over lists by ``metric@k``; ``users``, and the ``standard_error`` of recall at the
        first k. Diversity is there where vectors were given."""
        return self._of(np.ones(self.lists, bool))

    @property
    def descending(self) -> dict[str, float] | None:
        """The metrics of the lists whose last pair descends in the order of ids; None without any.

        A source that writes events of one moment in the order of ids gives the order of the ids
        away: what a model gains by that alone it loses here.
        """
        return self._of(self.descends) if self.descends.any() else None

    def intervals(self, *, seed: int, samples: int = 1000) -> dict[str, tuple[float, float]]:
        """95 % bootstrap intervals of the averaged metrics; users are drawn."""
        names = list(self.per_list)
        columns = np.stack([self.per_list[name] for name in names], axis=1)
        bounds = measure.mean_intervals(columns, self._numbers(), seed=seed, samples=samples)
        return {
            name: (float(low), float(high)) for name, (low, high) in zip(names, bounds, strict=True)
        }

    def against(
        self, other: RankingEvaluation, metric: str, *, seed: int, samples: int = 1000
    ) -> tuple[float, float, float]:
        """This model's mean less another's on the same lists, and its 95 % bootstrap interval."""
        if self.user_ids != other.user_ids:
            raise ValueError("only evaluations of the same lists can be compared")
        difference = self.per_list[metric] - other.per_list[metric]
        ((low, high),) = measure.mean_intervals(
            difference[:, None], self._numbers(), seed=seed, samples=samples
        )
        return float(difference.mean()), float(low), float(high)

    def summary(self, *, seed: int) -> dict[str, Any]:
        """All of it fit for JSON: the metrics, their intervals and ``descending``."""
        found: dict[str, Any] = {**self.metrics, "intervals": self.intervals(seed=seed)}
        if (descending := self.descending) is not None:
            found["descending"] = descending
        return found

    def _numbers(self) -> Rows:
        return np.unique(np.array(self.user_ids), return_inverse=True)[1].astype(np.int64)

    def _of(self, chosen: NDArray[np.bool_]) -> dict[str, float]:
        of_target = chosen[self.owners]
        ranks, weights = self.ranks[of_target], self.weights[of_target]
        found: dict[str, float] = {
            name: float(values[chosen].mean()) for name, values in self.per_list.items()
        }
        for k in self.ks:
            found[f"debiased_hit_rate@{k}"] = measure.debiased_hit_rate(ranks, weights, k)
            rows = np.unique(self.shown[chosen, :k])
            found[f"coverage@{k}"] = int((rows >= 0).sum()) / int(self.candidates.sum())
        numbers = self._numbers()[chosen]
        found["users"] = len(np.unique(numbers))
        found["lists"] = int(chosen.sum())
        recall = self.per_list[f"recall@{self.ks[0]}"][chosen]
        found["standard_error"] = measure.standard_error(recall, numbers)
        return found


def evaluate_ranking(
    score_users: ScoreUsers,
    task: RankingTask,
    *,
    vectors: NDArray[np.float32] | None = None,
    popularity: Rows | None = None,
    ks: Sequence[int] = (10, 20),
    chunk: int = 512,
    report: Callable[[int, int], None] | None = None,
) -> RankingEvaluation:
    """Rank all candidates that each user of the task has not met, and measure.

    An item that scores as the target does stands before it. Lists put the lower row first among
    equals. ``vectors`` float32 [items, d] of unit length give diversity; ``popularity`` int64
    [items] counts the users who took each item, by default those of ``task.train``. ``report``
    hears how many users of how many are done. Raises ValueError for a score that is not a number.
    """
    popularity = item_popularity(task.train) if popularity is None else popularity
    information = measure.self_information(popularity, task.train.users)
    widest = max(ks)
    size, users = task.history.items, len(task.users)
    ranks: list[Rows] = []
    spread: dict[str, list[Numbers]] = {}
    shown: list[Rows] = []
    for begin in range(0, users, chunk):
        asked = task.users[begin : begin + chunk]
        targets = task.targets[begin : begin + chunk]
        scores = np.asarray(score_users(task.history, asked))
        if scores.shape != (len(asked), size):
            raise ValueError(f"scores of shape {scores.shape}, not {(len(asked), size)}")
        scores[:, ~task.candidates] = -np.inf
        for place, user in enumerate(asked):
            scores[place, task.history.of_user(int(user)).rows] = -np.inf
        if np.isnan(scores).any():
            raise ValueError("a score is not a number")
        lists = best_rows(scores, widest)
        ranks.append(target_ranks(scores, targets))
        shown.append(lists)
        for k in ks:
            first = lists[:, :k]
            spread.setdefault(f"novelty@{k}", []).append(measure.novelty(first, information))
            if vectors is not None:
                spread.setdefault(f"diversity@{k}", []).append(measure.diversity(first, vectors))
        if report is not None:
            report(min(begin + chunk, users), users)
    flat = np.concatenate(ranks)
    rows = np.concatenate(task.targets)
    owners = np.repeat(np.arange(users), [len(targets) for targets in task.targets])
    per_list: dict[str, Numbers] = {}
    for k in ks:
        per_list[f"recall@{k}"] = measure.recall(flat, owners, users, k)
        per_list[f"ndcg@{k}"] = measure.ndcg(flat, owners, users, k)
        per_list[f"hit_rate@{k}"] = measure.hit_rate(flat, owners, users, k)
    per_list |= {name: np.concatenate(parts) for name, parts in spread.items()}
    return RankingEvaluation(
        task.name,
        tuple(ks),
        flat,
        owners,
        measure.inverse_propensity(popularity)[rows],
        per_list,
        np.concatenate(shown),
        task.candidates,
        tuple(task.history.user_ids[user] for user in task.users),
        last_pair_descends(task),
    )


def pooled(evaluations: Sequence[RankingEvaluation], name: str) -> RankingEvaluation:
    """Several evaluations of one model over one catalogue as one: every list counts the same."""
    first = evaluations[0]
    offsets = np.cumsum([0, *(one.lists for one in evaluations)])
    return RankingEvaluation(
        name,
        first.ks,
        np.concatenate([one.ranks for one in evaluations]),
        np.concatenate(
            [one.owners + offset for one, offset in zip(evaluations, offsets, strict=False)]
        ),
        np.concatenate([one.weights for one in evaluations]),
        {key: np.concatenate([one.per_list[key] for one in evaluations]) for key in first.per_list},
        np.concatenate([one.shown for one in evaluations]),
        np.any([one.candidates for one in evaluations], axis=0),
        tuple(user for one in evaluations for user in one.user_ids),
        np.concatenate([one.descends for one in evaluations]),
    )


def item_popularity(histories: Histories) -> Rows:
    """How many users took each item, int64 [items]; events that speak against it do not count."""
    kept = histories.strengths > 0
    pair = np.unique(histories.owners[kept] * max(1, histories.items) + histories.rows[kept])
    return np.bincount(pair % max(1, histories.items), minlength=histories.items).astype(np.int64)


def best_rows(scores: Scores, k: int) -> Rows:
    """The rows of each user's ``k`` best items, best first, int64 [users, k].

    The lower row stands first among equals; -1 fills the places that no finite score is left for.
    """
    users, size = scores.shape
    wanted = min(k, size)
    lists = np.full((users, k), -1, np.int64)
    edge = np.partition(scores, size - wanted, axis=1)[:, size - wanted]
    for user in range(users):
        own = scores[user]
        above = np.flatnonzero(own > edge[user])
        level = np.flatnonzero(own == edge[user])[: wanted - len(above)]
        rows = np.concatenate([above, level])
        rows = rows[np.isfinite(own[rows])]
        lists[user, : len(rows)] = rows[np.lexsort((rows, -own[rows]))]
    return lists


def target_ranks(scores: Scores, targets: Sequence[Rows]) -> Rows:
    """The rank of each target from 0, users' one after another; other items win their ties.

    Among the targets of one user the better one counts first, in the order given where equal. One
    that scores minus infinity stands behind all items. Overwrites the targets' scores.
    """
    size = scores.shape[1]
    ranks = []
    for own, rows in zip(scores, targets, strict=True):
        values = own[rows]
        own[rows] = -np.inf
        order = np.argsort(-values, kind="stable")
        ranked = np.empty(len(rows), np.int64)
        for place, number in enumerate(order):
            ahead = size if values[number] == -np.inf else np.count_nonzero(own >= values[number])
            ranked[number] = ahead + place
        ranks.append(ranked)
    return np.concatenate(ranks)


def last_pair_descends(task: RankingTask) -> NDArray[np.bool_]:
    """Whether a user's only target stands before the last item shown in the order of ids, bool
    [users]."""
    ids = task.history.item_ids
    found = np.zeros(len(task.users), bool)
    for place, (user, targets) in enumerate(zip(task.users, task.targets, strict=True)):
        shown = task.history.of_user(int(user)).rows
        if len(targets) == 1 and len(shown):
            found[place] = ids[int(targets[0])] < ids[int(shown[-1])]
    return found
