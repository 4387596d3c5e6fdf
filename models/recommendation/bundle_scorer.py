"""``ItemScorer`` of a fitted recommender: exact scores of the candidates that it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.recommendation.behaviour import LinearBehaviour, ServedBehaviour
from models.recommendation.borrowing import Borrowed
from models.recommendation.bundle import read_bundle
from models.recommendation.history_matrix import history_weights
from models.recommendation.item_texts import ItemTexts, TextSpace, read_texts
from models.recommendation.linear_with_texts import LinearWithTexts
from models.recommendation.recipe import MOST_ITEMS_SOLVED
from models.recommendation.recommender import Blend, Recommender
from models.recommendation.scoring import ItemScores
from models.recommendation.shortlist import Shortlist, best_rows
from models.recommendation.text_features import Encode
from shared.catalogue import CatalogueItem
from shared.histories import Rows, UserHistory, Weights
from shared.made_once import made_once

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

FEW = 6
"""Up to one in so many of the items' texts are picked out; of more, all are read."""


class BundleScorer:
    """Scores a catalogue's rows: first the items that were fitted, then those that came since.

    ``encode`` reads the texts of new items and of searches.
    """

    def __init__(
        self,
        version: str,
        item_ids: tuple[str, ...],
        item_texts: tuple[str, ...],
        behaviour: ServedBehaviour | None,
        space: TextSpace,
        texts: ItemTexts,
        fitted: Flags,
        popularity: Weights,
        blend: Blend,
        encode: Encode,
        borrowed: Borrowed | None = None,
    ) -> None:
        self.version = version
        self.item_ids = item_ids
        self._item_texts = item_texts
        self.row_of: Mapping[str, int] = MappingProxyType(
            {item: row for row, item in enumerate(item_ids)}
        )
        self.fitted = fitted
        self.popularity = popularity
        self._behaviour = behaviour
        self._space = space
        self._texts = texts
        self._blend = blend
        self._encode = encode
        self._text_weights = blend.text_weights(fitted)
        self._texted = np.flatnonzero(self._text_weights)
        behaved = fitted if behaviour is not None else np.ones(len(item_ids), bool)
        self._borrowed = Borrowed.of(texts, behaved) if borrowed is None else borrowed

    @classmethod
    def load(cls, version: Any, encode: Encode) -> Self:
        """The scorer of a ``models.registry.ModelVersion``, whose files the caller has verified."""
        return cls.of(read_bundle(version.folder), version.name, encode, keep=False)

    @classmethod
    def of(cls, fitted: Recommender, version: str, encode: Encode, *, keep: bool = True) -> Self:
        """The scorer of what was fitted; ``keep`` unless nobody else needs the fitted matrix, which
        is half a gigabyte for 12,000 items."""
        behaviour: ServedBehaviour = fitted.behaviour
        if isinstance(behaviour, LinearBehaviour):
            known = fitted.blend.text * fitted.fitted.astype(np.float32)
            offered = fitted.texts.offered * known[:, None]
            behaviour = LinearWithTexts.of(
                behaviour, fitted.texts.taken, offered, in_place=not keep
            )
        return cls(
            version,
            fitted.item_ids,
            fitted.item_texts,
            behaviour,
            fitted.space,
            fitted.texts,
            fitted.fitted,
            fitted.popularity,
            fitted.blend,
            encode,
        )

    @property
    def vectors(self) -> Floats:
        """The encoder's unit vectors, float32 [n, d]."""
        return self._texts.encoded

    def score(self, history: UserHistory, *, allowed: Flags, wanted: int, now: float) -> ItemScores:
        """The best ``wanted`` exactly where behaviour is a matrix of items; of a larger catalogue a
        shortlist, scored exactly."""
        weights = history_weights(history, self._blend.decay)
        user = weights @ self._texts.taken[history.rows]
        popular = self._blend.popular_weights(np.abs(weights).sum(dtype=np.float32))
        if isinstance(self._behaviour, LinearWithTexts):
            totals = self._summed(self._behaviour, history, user)
            totals += self.popularity * popular
            rows = best_rows(totals, allowed, wanted)
            totals = totals[rows]
            text, liked = self._by_text(user, rows), self.popularity[rows] * popular
            parts = {"behaviour": totals - text - liked, "text": text, "popular": liked}
            return ItemScores(rows, totals, parts)
        if len(self.item_ids) > MOST_ITEMS_SOLVED and self._searched:
            folded = np.zeros(0, np.float32)
            if self._behaviour is not None:
                folded = self._behaviour.fold_in(self._known(history))
            rows = self._shortlist.rows(
                folded, user, float(popular), allowed=allowed, wanted=wanted
            )
            behaved = self._factors[rows] @ folded
        else:
            rows = np.flatnonzero(allowed)
            behaved = self._by_behaviour(history, rows)
        parts = {
            "behaviour": behaved,
            "text": self._by_text(user, rows),
            "popular": self.popularity[rows] * popular,
        }
        return ItemScores(rows, parts["behaviour"] + parts["text"] + parts["popular"], parts)

    def contributions(self, history: UserHistory, rows: Rows, *, now: float) -> Weights:
        """What each event gave to the behaviour and text of each row, float32 [h, rows]."""
        weights = history_weights(history, self._blend.decay)
        given = (self._texts.taken[history.rows] @ self._texts.offered[rows].T) * (
            self._text_weights[rows]
        )
        given *= weights[:, None]
        if self._behaviour is not None:
            events = np.flatnonzero(history.rows < self._behaviour.items)
            if len(events) and len(rows):
                given[events] += self._behaved(self._known(history), rows)[events]
        return given

    def similar(self, row: int) -> Weights:
        """Half behaviour, where the fit knows the item, and half nearness of texts."""
        near: Floats = self._texts.dense @ self._texts.dense[row]
        if self._behaviour is not None and self.fitted[row]:
            behaved = np.zeros_like(near)
            behaved[: self._behaviour.items] = self._behaviour.similar(row)
            behaved[row] = 0.0
            greatest = float(behaved.max(initial=0.0))
            if greatest > 0:
                near = 0.5 * near + 0.5 * behaved / greatest
        return near

    def search(self, text: str) -> Weights:
        """Cosine of words and meaning together, float32 [n]."""
        placed = self._space.place([text], read_texts([text], self._encode))
        found: Floats = self._texts.dense @ placed.dense[0]
        return found

    def with_items(self, items: Sequence[CatalogueItem]) -> Self:
        """The scorer with these items known by their text; of one id the last counts.

        An item whose text is as it was costs nothing.
        """
        latest = {item.id: item for item in items}
        for item in list(latest.values()):
            row = self.row_of.get(item.id)
            if row is not None and self._item_texts[row] == item.whole:
                del latest[item.id]
        added = [item for item in latest if item not in self.row_of]
        ids = (*self.item_ids, *added)
        row_of = {**self.row_of, **{item: len(self.item_ids) + k for k, item in enumerate(added)}}
        texts = [item.whole for item in latest.values()]
        if not texts:
            return self
        placed = self._space.place(texts, read_texts(texts, self._encode))
        rows = np.array([row_of[item] for item in latest], np.int64)
        more = len(added)
        read = [*self._item_texts, *("" for _ in added)]
        for row, text in zip(rows.tolist(), texts, strict=True):
            read[row] = text
        held = self._texts.with_rows(rows, placed)
        fitted = np.concatenate([self.fitted, np.zeros(more, bool)])
        borrowed = None  # of all new items: what a lender reads like may have changed
        if self._behaviour is not None and not fitted[rows].any():
            fresh = Borrowed.of(held, fitted, rows=np.sort(rows))
            borrowed = self._borrowed.with_rows(fresh)
        return type(self)(
            self.version,
            ids,
            tuple(read),
            self._behaviour,
            self._space,
            held,
            fitted,
            np.concatenate([self.popularity, np.zeros(more, np.float32)]),
            self._blend,
            self._encode,
            borrowed,
        )

    def _behaved(self, history: UserHistory, rows: Rows) -> Weights:
        """What events of known items gave to the behaviour of rows, what is borrowed included."""
        assert self._behaviour is not None
        given = np.zeros((len(history), len(rows)), np.float32)
        known = self.fitted[rows]
        given[:, known] = self._behaviour.contributions(history, rows[known], self._blend.decay)
        new = np.flatnonzero(~known)
        if len(new) and self._blend.borrowed:
            at = np.searchsorted(self._borrowed.rows, rows[new])
            lenders, shares = self._borrowed.lenders[at], self._borrowed.shares[at]
            lent = self._behaviour.contributions(history, lenders.ravel(), self._blend.decay)
            lent = lent.reshape(len(history), *lenders.shape)
            own = self._own(history)[:, None, None]
            lent += np.where(history.rows[:, None, None] == lenders, own, 0.0)
            given[:, new] = self._blend.borrowed * np.einsum("hmk,mk->hm", lent, shares)
        return given

    def _known(self, history: UserHistory) -> UserHistory:
        """The history with what the fit does not know as events of no weight.

        Their places count: recency is the distance from the end, whatever stands there.
        """
        assert self._behaviour is not None
        inside = history.rows < self._behaviour.items
        if inside.all():
            return history
        return UserHistory(
            np.where(inside, history.rows, 0),
            np.where(inside, history.strengths, 0.0).astype(np.float32),
            history.times,
        )

    @property
    def _searched(self) -> bool:
        """Whether inner products say all of a score: a matrix of items has no factors."""
        return self._behaviour is None or self._behaviour.factors.shape[1] > 0

    @made_once
    def _factors(self) -> Floats:
        """The behaviour's vectors of all rows, float32 [n, f]; new ones have what they borrow."""
        if self._behaviour is None:
            return np.zeros((len(self.item_ids), 0), np.float32)
        fitted = self._behaviour.factors
        whole = np.zeros((len(self.item_ids), fitted.shape[1]), np.float32)
        whole[: len(fitted)] = fitted
        whole[self._borrowed.rows] = self._blend.borrowed * (self._shares @ fitted)
        return whole

    @made_once
    def _shares(self) -> Any:
        """What the new items borrow of each item of the fit, float32 CSR [m, items]."""
        assert self._behaviour is not None
        return self._borrowed.matrix(self._behaviour.items)

    @made_once
    def _lent_texts(self) -> Floats:
        """The shares of the texts that the matrix holds, float32 [m, d]: they are not behaviour."""
        assert isinstance(self._behaviour, LinearWithTexts)
        lent: Floats = self._shares @ self._behaviour.offered
        return lent

    def _own(self, history: UserHistory) -> Weights:
        """What each event would say for an item just like its own, float32 [h]."""
        assert self._behaviour is not None
        weights = history_weights(history, self._blend.decay)
        own: Weights = self._behaviour.own[history.rows] * weights
        return own

    def _lent(self, scores: Weights, history: UserHistory) -> Weights:
        """What the new items borrow of scores (float32 [items]) of the fit, float32 [m]."""
        lending = scores.copy()
        np.add.at(lending, history.rows, self._own(history))
        lent: Weights = self._blend.borrowed * (self._shares @ lending)
        return lent

    @made_once
    def _shortlist(self) -> Shortlist:
        texts = self._texts.offered * self._text_weights[:, None]
        return Shortlist(self._factors, texts, self.popularity)

    def _summed(self, linear: LinearWithTexts, history: UserHistory, user: Floats) -> Weights:
        """Behaviour and texts of all rows, float32 [n], out of the matrix that holds both.

        Texts that it does not hold are added: those of events that the fit does not know, or whose
        text has changed since; and those of rows that are new or have changed."""
        totals = np.zeros(len(self.item_ids), np.float32)
        known = self._known(history)
        summed, known_user = linear.summed(known, self._blend.decay)
        totals[: linear.items] = summed
        later = user - known_user
        if later.any():
            totals += (self._texts.offered @ later) * self._text_weights
        if len(changed := self._changed):
            behaved = linear.alone(summed, known_user, changed)
            totals[changed] = behaved + self._by_text(user, changed)
        if len(new := self._borrowed.rows):
            lent = self._lent(summed, known)
            lent -= self._blend.borrowed * (self._lent_texts @ known_user)
            totals[new] = lent + self._by_text(user, new)
        return totals

    @made_once
    def _changed(self) -> Rows:
        """Known rows whose text is another now than the matrix holds, int64."""
        assert isinstance(self._behaviour, LinearWithTexts)
        held = self._behaviour.offered
        now = self._texts.offered[: len(held)] * self._text_weights[: len(held), None]
        return np.flatnonzero((now != held).any(axis=1) & self.fitted[: len(held)])

    def _by_behaviour(self, history: UserHistory, rows: Rows) -> Weights:
        found = np.zeros(len(rows), np.float32)
        if self._behaviour is None or not len(history):
            return found
        known = self._known(history)
        fitted = self._behaviour.scores(known, self._blend.decay)
        scores = np.zeros(len(self.item_ids), np.float32)
        scores[: self._behaviour.items] = fitted
        if len(new := self._borrowed.rows):
            scores[new] = self._lent(fitted, known)
        return scores[rows]

    def _by_text(self, user: Floats, rows: Rows) -> Weights:
        """Only what has a weight is computed: mostly that is the few new items.

        To pick rows out costs several times what reading them in order does.
        """
        offered, weights = self._texts.offered, self._text_weights
        few = len(offered) // FEW
        if len(self._texted) <= few:
            scores = np.zeros(len(offered), np.float32)
            scores[self._texted] = (offered[self._texted] @ user) * weights[self._texted]
            return scores[rows]
        if len(rows) <= few:
            picked: Floats = (offered[rows] @ user) * weights[rows]
            return picked
        whole: Floats = (offered @ user) * weights
        return whole[rows]
