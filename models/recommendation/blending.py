"""The blend's weights, chosen on events that the parts were not fitted on.

Each weight is chosen by ndcg@10 while the ones before it stay: recency, then texts of known items,
then popularity. What items without behaviour get is a share of the scale that this catalogue's
scores have, which puts them among the known ones: nobody took them, so that few held-out events
would have to choose between many weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.recommendation.recipe import RecommendRecipe
from models.recommendation.recommender import Blend, Recommender
from shared.evaluation.ranking import Scores, target_ranks
from shared.evaluation.ranking_metrics import ndcg
from shared.evaluation.ranking_protocols import RankingTask

T = TypeVar("T")

MOST_SCORES = 40_000_000
"""Scores that are held at once: users are drawn so that there are no more."""

LEAST_POPULAR = 1e-4
"""Of the scale of scores: what ranks the items for a user of whom nothing is known."""


def fit_blend(
    fitted: Recommender, task: RankingTask, recipe: RecommendRecipe, *, seed: int
) -> Blend:
    """Choose the weights; ``fitted`` was fitted on ``task.train``, its own blend is not read."""
    rng = np.random.default_rng(seed)
    most = max(50, MOST_SCORES // max(1, len(fitted.item_ids)))
    users = np.arange(len(task.users))
    if len(users) > most:
        users = np.sort(rng.choice(users, most, replace=False))
    asked = task.users[users]
    targets = [task.targets[user] for user in users]
    seen = [task.history.of_user(int(user)).rows for user in asked]

    def quality(scores: Scores) -> float:
        scores[:, ~task.candidates] = -np.inf
        for place, rows in enumerate(seen):
            scores[place, rows] = -np.inf
        ranks = target_ranks(scores, targets)
        owners = np.repeat(np.arange(len(targets)), [len(rows) for rows in targets])
        return float(ndcg(ranks, owners, len(targets), 10).mean())

    def behaved(decay: float) -> Scores:
        scores = fitted.behaviour.score_users(task.history, asked, decay)
        scores[:, ~fitted.fitted] = 0.0
        return scores

    decay = _best(recipe.history_decays, lambda value: quality(behaved(value)))
    plain = Blend(decay, 1.0, 1.0, 1.0)
    found = replace(fitted, blend=plain).parts_of_users(task.history, asked)
    behaviour, text, popular = found["behaviour"], found["text"], found["popular"]
    unit = _tenth_best(behaviour) or 1.0
    text_unit = unit / (_tenth_best(text) or 1.0)
    text[:, ~fitted.fitted] = 0.0
    text_share = _best(
        recipe.text_shares,
        lambda share: quality(behaviour + np.float32(share * text_unit) * text),
    )
    mixed = behaviour + np.float32(text_share * text_unit) * text
    popular_share = _best(
        recipe.popular_shares, lambda share: quality(mixed + np.float32(share * unit) * popular)
    )
    return Blend(
        decay=decay,
        text=text_share * text_unit,
        new_text=(text_share + recipe.new_share) * text_unit,
        popular=max(popular_share, LEAST_POPULAR) * unit,
        borrowed=recipe.borrowed_share,
    )


def _best(values: Sequence[T], quality: Callable[[T], float]) -> T:
    """The value of the greatest quality, the first of equals."""
    return values[int(np.argmax([quality(value) for value in values]))]


def _tenth_best(scores: NDArray[np.float32]) -> float:
    """The mean over users of their tenth best score, 0 where there is none above: what weights are
    measured in, so that one share means the same in every catalogue."""
    width = min(10, scores.shape[1])
    tenth = -np.partition(-scores, width - 1, axis=1)[:, width - 1]
    return float(np.maximum(tenth, 0.0).mean())
