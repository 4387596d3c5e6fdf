"""The peers: what `implicit` and `irspack` rank, as rankers that our evaluator scores.

Each is fitted on the interactions alone (1 where a user took an item), and ranks for the history
that the task shows: ALS solves the user's vector anew, neighbours are summed over the history.
Titles reach the one that can read them, irspack's iALS with item features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from models.recommendation.history_matrix import decayed_histories, interactions
from shared.catalogue import CatalogueItem
from shared.evaluation.ranking import FitRanker, Scores, ScoreUsers
from shared.histories import Histories, Rows

Embed = Callable[[Sequence[str]], np.ndarray]


def implicit_als(
    *, factors: int = 256, regularisation: float = 10.0, alpha: float = 40.0, iterations: int = 15
) -> FitRanker:
    """`implicit`'s ALS with the settings that did best on Amazon Beauty's validation."""

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularisation,
            alpha=alpha,
            iterations=iterations,
            random_state=seed,
        )
        with threadpool_limits(1, user_api="blas"):  # it runs threads of its own, and asks for this
            model.fit(interactions(train), show_progress=False)

        def score(histories: Histories, users: Rows) -> Scores:
            taken = interactions(histories.of_users(users))
            with threadpool_limits(1, user_api="blas"):
                vectors = model.recalculate_user(np.arange(len(users)), taken)
            return np.asarray(vectors @ model.item_factors.T, dtype=np.float32)

        return score

    return fit


def implicit_neighbours(kind: str, *, neighbours: int = 100, decay: float = 1.0) -> FitRanker:
    """`implicit`'s item neighbours, `kind` BM25 or TFIDF; it knows no order, so ``decay`` is 1."""

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        from implicit import nearest_neighbours

        classes: dict[str, Any] = {
            "BM25": nearest_neighbours.BM25Recommender,
            "TFIDF": nearest_neighbours.TFIDFRecommender,
        }
        model = classes[kind](K=neighbours)
        model.fit(interactions(train).astype(np.float64), show_progress=False)
        similarity = model.similarity

        def score(histories: Histories, users: Rows) -> Scores:
            shown = decayed_histories(histories, users, decay)
            return np.asarray((shown @ similarity).toarray(), dtype=np.float32)

        return score

    return fit


def irspack_als(
    embed: Embed | None,
    *,
    factors: int = 256,
    alpha0: float = 0.03,
    regularisation: float = 0.003,
    feature_regularisation: float = 0.01,
    epochs: int = 12,
) -> FitRanker:
    """`irspack`'s iALS; with ``embed`` its items start at a linear map of their texts' vectors.

    The settings did best of a dozen on a fifth of Amazon Beauty's validation users.
    """

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        from irspack import IALSRecommender

        features = None if embed is None else embed([item.whole for item in items])
        model = IALSRecommender(
            interactions(train),
            n_components=factors,
            alpha0=alpha0,
            reg=regularisation,
            random_seed=seed,
            train_epochs=epochs,
            item_features=features,
            lambda_item_feature=0.0 if features is None else feature_regularisation,
        ).learn()

        def score(histories: Histories, users: Rows) -> Scores:
            taken = interactions(histories.of_users(users))
            return np.asarray(model.get_score_cold_user(taken), dtype=np.float32)

        return score

    return fit
