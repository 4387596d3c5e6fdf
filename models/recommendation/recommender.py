"""A fitted recommender: behaviour, texts and popularity, blended by how much is known.

    score = behaviour                                  items that the fit knows; new ones borrow
                                                       from those that read like them
          + text · (taken by the history) · offered    new items at full weight, known ones at less
          + popular · popularity / (1 + what is known of the user)

All but the last are sums over the events of the history, so that reasons are exact.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from models.recommendation.behaviour import Behaviour
from models.recommendation.borrowing import Borrowed
from models.recommendation.history_matrix import weighted_histories
from models.recommendation.item_texts import ItemTexts, TextSpace
from models.recommendation.scoring import PARTS
from shared.evaluation.ranking import Scores, ScoreUsers
from shared.histories import Histories, Rows, Weights
from shared.made_once import made_once


@dataclass(frozen=True, slots=True)
class Blend:
    """How much each part counts, in the units of the behaviour's scores.

    ``decay`` weighs a history by recency; ``text`` is the weight of texts for items that the fit
    knows, ``new_text`` for those it does not; ``popular`` that of popularity for a user of whom
    nothing is known; ``borrowed`` that of the behaviour that new items borrow.
    """

    decay: float
    text: float
    new_text: float
    popular: float
    borrowed: float = 0.0

    def text_weights(self, fitted: NDArray[np.bool_]) -> Weights:
        """The weight of texts for each item, float32 [n]."""
        return np.where(fitted, self.text, self.new_text).astype(np.float32)

    def popular_weights(self, known: Weights) -> Weights:
        """The weight of popularity for users of whom so much is known (the sum of the sizes of
        their events' weights, float32 [u])."""
        return (self.popular / (1.0 + known)).astype(np.float32)

    def as_card(self) -> dict[str, float]:
        """Fit for a card."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Recommender:
    """All that was fitted on one catalogue.

    ``item_texts`` are the texts read, one an item; ``takers`` int64 [n] counts the users who took
    each item, 0 for one that is known by its text alone; ``popularity`` float32 [n] in [0, 1].
    """

    item_ids: tuple[str, ...]
    item_texts: tuple[str, ...]
    behaviour: Behaviour
    space: TextSpace
    texts: ItemTexts
    takers: Rows
    popularity: Weights
    blend: Blend

    def __post_init__(self) -> None:
        lengths = {
            len(self.item_ids), len(self.item_texts), len(self.texts), len(self.takers),
            len(self.popularity), self.behaviour.items,
        }  # fmt: skip
        if len(lengths) != 1:
            raise ValueError(f"parts of different numbers of items: {sorted(lengths)}")

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Whether anybody took the item, bool [n]."""
        return self.takers > 0

    @made_once
    def borrowed(self) -> Borrowed:
        """Whose behaviour the items that nobody took borrow."""
        return Borrowed.of(self.texts, self.fitted)

    def parts_of_users(self, histories: Histories, users: Rows) -> dict[str, Scores]:
        """The parts of many users' scores, float32 [users, n] each, by the names in ``PARTS``."""
        weighted, known = weighted_histories(histories, users, self.blend.decay)
        behaviour = self.behaviour.score_users(histories, users, self.blend.decay)
        behaviour[:, ~self.fitted] = 0.0
        if self.blend.borrowed and not self.fitted.all():
            own, lending = self.behaviour.own, behaviour
            if own.any():
                lending = behaviour + weighted.multiply(own).toarray()
            behaviour[:, ~self.fitted] = self.blend.borrowed * self.borrowed.lent(lending)
        text = (weighted @ self.texts.taken) @ self.texts.offered.T
        text *= self.blend.text_weights(self.fitted)
        popular = np.outer(self.blend.popular_weights(known), self.popularity)
        found = (behaviour, text.astype(np.float32), popular.astype(np.float32))
        return dict(zip(PARTS, found, strict=True))

    def score_users(self, histories: Histories, users: Rows) -> Scores:
        """Many users' scores, float32 [users, n]."""
        parts = self.parts_of_users(histories, users)
        total: Scores = sum(parts.values(), np.zeros((1, 1), np.float32))
        return total

    def only(self, part: str) -> ScoreUsers:
        """One part alone, as ``evaluate_ranking`` takes it: what an ablation measures."""
        if part not in PARTS:
            raise ValueError(f"{part!r} is none of {', '.join(PARTS)}")

        def score(histories: Histories, users: Rows) -> Scores:
            if part == "popular":
                return np.tile(self.popularity, (len(users), 1))
            if part == "behaviour":
                return self.behaviour.score_users(histories, users, self.blend.decay)
            weighted, _ = weighted_histories(histories, users, self.blend.decay)
            return np.asarray((weighted @ self.texts.taken) @ self.texts.offered.T, np.float32)

        return score
