"""What every model must be measured against: popularity, neighbours of items, EASE, text alone.

Each function here takes its settings and answers a ``FitRanker`` of ``shared.evaluation.ranking``.
Items are learnt from whether users took them; what speaks against an item is left out, of learning
and of the history shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.recommendation.gram_inverse import invert_in_place
from models.recommendation.history_matrix import decayed_histories, interactions
from shared.catalogue import CatalogueItem
from shared.evaluation.ranking import FitRanker, Scores, ScoreUsers, item_popularity
from shared.histories import Histories, Rows

DAY = 86_400.0


def popularity() -> FitRanker:
    """Every user gets what most users took."""

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        return _same_for_all(item_popularity(train).astype(np.float32))

    return fit


def recent_popularity(days: float) -> FitRanker:
    """What most users took in the last so many days of the training events.

    Items that nobody took then follow in the order of their whole popularity, and so do all where
    the events have no times.
    """

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        whole = item_popularity(train)
        if not (train.timed and len(train.times)):
            return _same_for_all(whole.astype(np.float32))
        recent = item_popularity(train.keep(train.times > train.times.max() - days * DAY))
        return _same_for_all((recent + whole / (whole.max(initial=0) + 1)).astype(np.float32))

    return fit


def item_knn(*, decay: float = 0.6) -> FitRanker:
    """Cosine between items over users, who weigh by the rarity of their items, not by their number.

    A user of h items weighs log(items / h). Source: Deshpande and Karypis, "Item-based top-N
    recommendation algorithms", 2004; ``decay`` to the distance weighs the history.
    """

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        weighted = _weighted(train)
        similarity = (weighted.T @ weighted).tocsr()
        return _neighbours(_scaled(similarity, _norms(weighted)), decay)

    return fit


def directed_item_knn(
    *, gap_decay: float = 0.9, backward: float = 0.5, decay: float = 0.6, reach: int = 50
) -> FitRanker:
    """As ``item_knn``, of ordered pairs: how often one item follows another, nearer counting more.

    A pair counts ``gap_decay`` to the number of events between the two, and ``backward`` times
    that for the first after the second; pairs more than ``reach`` events apart are left out.
    """

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        from scipy.sparse import coo_matrix

        kept = train.keep(train.strengths > 0)
        weights = _user_weights(kept)
        size, owners = kept.items, kept.owners
        pairs = coo_matrix((size, size), dtype=np.float32).tocsr()
        for gap in range(1, min(reach, int(np.diff(kept.starts).max(initial=0)) - 1) + 1):
            first = np.flatnonzero(owners[:-gap] == owners[gap:])
            counts = (weights[owners[first]] ** 2 * gap_decay ** (gap - 1)).astype(np.float32)
            here, there = kept.rows[first], kept.rows[first + gap]
            forward = coo_matrix((counts, (here, there)), (size, size)).tocsr()
            pairs = pairs + forward + backward * forward.T.tocsr()
        return _neighbours(_scaled(pairs, _norms(_weighted(kept))), decay)

    return fit


def ease(*, regularisation: float = 100.0, decay: float = 0.6) -> FitRanker:
    """The linear model of items with a zero diagonal, solved in closed form.

    Dense: float32 [items, items] twice at the most. Source: Steck, "Embarrassingly shallow
    autoencoders for sparse data", 2019.
    """

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        taken = interactions(train)
        gram = np.asfortranarray((taken.T @ taken).toarray())
        np.fill_diagonal(gram, gram.diagonal() + np.float32(regularisation))
        weights = invert_in_place(gram)
        weights /= -weights.diagonal()[None, :].copy()
        np.fill_diagonal(weights, 0.0)
        return _linear(np.ascontiguousarray(weights), decay)

    return fit


def text_mean(
    embed: Callable[[Sequence[str]], NDArray[np.float32]], *, decay: float = 0.6
) -> FitRanker:
    """Cosine to the recency-weighted mean of the vectors of a history's texts.

    ``embed`` gives unit vectors float32 [n, d] of titles with their texts; no behaviour is learnt
    from.
    """

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        vectors = embed([item.whole for item in items])

        def score(histories: Histories, users: Rows) -> Scores:
            mean = decayed_histories(histories, users, decay) @ vectors
            return np.asarray(mean @ vectors.T, dtype=np.float32)

        return score

    return fit


def _same_for_all(scores: NDArray[np.float32]) -> ScoreUsers:
    return lambda histories, users: np.tile(scores, (len(users), 1))


def _linear(weights: NDArray[np.float32], decay: float) -> ScoreUsers:
    def score(histories: Histories, users: Rows) -> Scores:
        return np.asarray(decayed_histories(histories, users, decay) @ weights, np.float32)

    return score


def _neighbours(similarity: Any, decay: float) -> ScoreUsers:
    """Scores from a sparse similarity [items, items], whose diagonal does not count."""
    similarity.setdiag(0.0)
    similarity.eliminate_zeros()

    def score(histories: Histories, users: Rows) -> Scores:
        shown = decayed_histories(histories, users, decay)
        return np.asarray((shown @ similarity).toarray(), dtype=np.float32)

    return score


def _user_weights(train: Histories) -> NDArray[np.float64]:
    """The rarity of each user's items, log(items / h); 0 for one who took nothing."""
    taken = np.asarray(interactions(train).sum(axis=1)).ravel()
    return np.where(taken > 0, np.log(train.items / np.maximum(taken, 1)), 0.0)


def _weighted(train: Histories) -> Any:
    from scipy.sparse import diags

    return (diags(_user_weights(train).astype(np.float32)) @ interactions(train)).tocsr()


def _norms(matrix: Any) -> NDArray[np.float32]:
    """The length of each column; 1 of an empty one."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel())
    return np.where(length > 0, length, 1.0).astype(np.float32)


def _scaled(matrix: Any, norms: NDArray[np.float32]) -> Any:
    from scipy.sparse import diags

    return (diags(1 / norms) @ matrix @ diags(1 / norms)).tocsr()
