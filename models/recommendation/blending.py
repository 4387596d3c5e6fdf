"""The blend's weights, chosen on events that the parts were not fitted on.

Each weight is chosen by ndcg@10 while the ones before it stay: recency, then texts of known items,
then popularity. Where events have no times, users whose last pair descends in the order of ids
count as much together as all others: what the order of ids alone gives away must not choose. What
items without behaviour get is a share of the scale that this catalogue's
scores have, which puts them among the known ones: nobody took them, so that few held-out events
would have to choose between many weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.recommendation.recipe import RecommendRecipe
from models.recommendation.recommender import Blend, Recommender
from shared.evaluation.ranking import Scores, last_pair_descends, target_ranks
from shared.evaluation.ranking_metrics import ndcg
from shared.evaluation.ranking_protocols import RankingTask
from shared.histories import Rows, Weights

MOST_SCORES = 40_000_000
"""Scores that are held at once: users are asked in blocks so that there are no more."""

MOST_USERS = 20_000
"""Users who are asked; of more, so many are drawn. With a sixth of them chance chose the weights:
on Amazon Beauty that cost .002 of ndcg."""

LEAST_POPULAR = 1e-4
"""Of the scale of scores: what ranks the items for a user of whom nothing is known."""


@dataclass(frozen=True, eq=False, slots=True)
class _Block:
    """Some of the users who are asked: their places in the history, how much each counts, targets
    and seen items."""

    users: Rows
    weights: Weights
    targets: Sequence[Rows]
    seen: Sequence[Rows]
    candidates: NDArray[np.bool_]

    def gain(self, scores: Scores) -> float:
        """The weighted sum over the users of ndcg@10 of ``scores`` [users, items], which are
        overwritten."""
        scores[:, ~self.candidates] = -np.inf
        for place, rows in enumerate(self.seen):
            scores[place, rows] = -np.inf
        ranks = target_ranks(scores, self.targets)
        owners = np.repeat(np.arange(len(self.targets)), [len(rows) for rows in self.targets])
        return float(ndcg(ranks, owners, len(self.targets), 10) @ self.weights)


def fit_blend(
    fitted: Recommender, task: RankingTask, recipe: RecommendRecipe, *, seed: int
) -> Blend:
    """Choose the weights; ``fitted`` was fitted on ``task.train``, its own blend is not read."""
    blocks = _blocks(task, seed)

    def behaved(block: _Block, decay: float) -> Scores:
        scores = fitted.behaviour.score_users(task.history, block.users, decay)
        scores[:, ~fitted.fitted] = 0.0
        return scores

    decay = _best(
        blocks,
        recipe.history_decays,
        lambda block: (behaved(block, value) for value in recipe.history_decays),
    )
    plain = replace(fitted, blend=Blend(decay, 1.0, 1.0, 1.0))

    def parts(block: _Block) -> tuple[Scores, Scores, Scores]:
        found = plain.parts_of_users(task.history, block.users)
        return found["behaviour"], found["text"], found["popular"]

    behaviour, text, _ = parts(blocks[0])
    unit = _tenth_best(behaviour) or 1.0
    text_unit = unit / (_tenth_best(text) or 1.0)

    def with_texts(block: _Block) -> Iterator[Scores]:
        behaviour, text, _ = parts(block)
        text[:, ~fitted.fitted] = 0.0
        for share in recipe.text_shares:
            yield behaviour + np.float32(share * text_unit) * text

    text_share = _best(blocks, recipe.text_shares, with_texts)

    def with_popular(block: _Block) -> Iterator[Scores]:
        behaviour, text, popular = parts(block)
        text[:, ~fitted.fitted] = 0.0
        behaviour += np.float32(text_share * text_unit) * text
        for share in recipe.popular_shares:
            yield behaviour + np.float32(share * unit) * popular

    popular_share = _best(blocks, recipe.popular_shares, with_popular)
    return Blend(
        decay=decay,
        text=text_share * text_unit,
        new_text=(text_share + recipe.new_share) * text_unit,
        popular=max(popular_share, LEAST_POPULAR) * unit,
        borrowed=recipe.borrowed_share,
    )


def _blocks(task: RankingTask, seed: int) -> list[_Block]:
    users = np.arange(len(task.users))
    if len(users) > MOST_USERS:
        users = np.random.default_rng(seed).choice(users, MOST_USERS, replace=False)
        users = np.sort(users)
    size = max(50, MOST_SCORES // max(1, len(task.candidates)))
    weights, found = _weights(task), []
    for start in range(0, len(users), size):
        cut = users[start : start + size]
        asked = task.users[cut]
        targets = [task.targets[user] for user in cut]
        seen = [task.history.of_user(int(user)).rows for user in asked]
        found.append(_Block(asked, weights[cut], targets, seen, task.candidates))
    return found


def _weights(task: RankingTask) -> Weights:
    """How much each user counts, float32 [users]."""
    weights = np.ones(len(task.users), np.float32)
    if not task.history.timed:
        descends = last_pair_descends(task)
        for group in (descends, ~descends):
            weights[group] = len(weights) / (2 * max(1, group.sum()))
    return weights


def _best(
    blocks: Sequence[_Block],
    values: Sequence[float],
    scored: Callable[[_Block], Iterable[Scores]],
) -> float:
    """The value of the greatest gain, the first of equals; ``scored`` gives the scores of a block
    under each value in turn."""
    gains = np.zeros(len(values))
    for block in blocks:
        gains += [block.gain(scores) for scores in scored(block)]
    return values[int(np.argmax(gains))]


def _tenth_best(scores: NDArray[np.float32]) -> float:
    """The mean over users of their tenth best score, 0 where there is none above: what weights are
    measured in, so that one share means the same in every catalogue."""
    width = min(10, scores.shape[1])
    tenth = -np.partition(-scores, width - 1, axis=1)[:, width - 1]
    return float(np.maximum(tenth, 0.0).mean())
