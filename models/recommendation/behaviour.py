"""The two models of behaviour behind one face: a whole matrix of items, and factors beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.recommendation.als import AlsOptions, ImplicitAls, observe
from models.recommendation.history_matrix import history_weights, weighted_histories
from shared.histories import Histories, Rows, UserHistory
from shared.made_once import made_once

Floats = NDArray[np.float32]

OWN_SHARE = 0.5
"""Of the strongest that anything says for an item: what its own event would say for one just like
it. Chosen on validation (docs/tried.md)."""


class ServedBehaviour(Protocol):
    """What lists ask of behaviour: scores of the items that it was fitted on. ``decay`` weighs a
    history by recency.

    Rows of a history beyond those items must be left out by the caller.
    """

    @property
    def kind(self) -> str:
        """The name in ``KINDS``."""
        ...

    @property
    def items(self) -> int:
        """How many items it was fitted on."""
        ...

    @property
    def factors(self) -> Floats:
        """Vectors of the items whose products with ``fold_in`` are the scores, float32 [items, f];
        of no length where there are none and all items are scored."""
        ...

    @property
    def own(self) -> Floats:
        """What an event of each item would say for one just like it, float32 [items]; zeros where
        an item's score holds what its own events say."""
        ...

    def fold_in(self, history: UserHistory) -> Floats:
        """The user's vector, float32 [f]."""
        ...

    def scores(self, history: UserHistory, decay: float) -> Floats:
        """One user's scores of all items, float32 [items]; exact fold-in."""
        ...

    def contributions(self, history: UserHistory, rows: Rows, decay: float) -> Floats:
        """What each event gave to the scores of some rows, float32 [h, rows]."""
        ...

    def similar(self, row: int) -> Floats:
        """How much one item speaks for each other, float32 [items]."""
        ...


class Behaviour(ServedBehaviour, Protocol):
    """The same as it is fitted, measured and stored."""

    def score_users(self, histories: Histories, users: Rows, decay: float) -> Floats:
        """Many users' scores, float32 [users, items]."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that was fitted, for ``of_arrays``."""
        ...


@dataclass(frozen=True, eq=False)
class LinearBehaviour:
    """The sequence-aware linear model: ``weights`` float32 [items, items], rows for columns, with a
    diagonal of zero."""

    weights: Floats
    kind = "sequence_linear"

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or len(set(self.weights.shape)) > 1:
            raise ValueError(f"a matrix of items is square, and not {self.weights.shape}")

    @property
    def items(self) -> int:
        """How many items it was fitted on."""
        return len(self.weights)

    @property
    def factors(self) -> Floats:
        """None: all items are scored."""
        return np.zeros((self.items, 0), np.float32)

    @made_once
    def own(self) -> Floats:
        """A share of each column's greatest weight, for its diagonal is zero."""
        greatest: Floats = np.float32(OWN_SHARE) * self.weights.max(axis=0, initial=0.0)
        return greatest

    def fold_in(self, history: UserHistory) -> Floats:
        """Nothing."""
        return np.zeros(0, np.float32)

    def scores(self, history: UserHistory, decay: float) -> Floats:
        """The weighted sum of the history's rows, float32 [items]."""
        counted = history_weights(history, decay)
        seen = np.flatnonzero(counted)
        if not len(seen):
            return np.zeros(self.items, np.float32)
        summed: Floats = counted[seen] @ self.weights[history.rows[seen]]
        return summed

    def contributions(self, history: UserHistory, rows: Rows, decay: float) -> Floats:
        """Each addend of that sum, float32 [h, rows]."""
        given: Floats = self.weights[np.ix_(history.rows, rows)]
        given *= history_weights(history, decay)[:, None]
        return given

    def score_users(self, histories: Histories, users: Rows, decay: float) -> Floats:
        """The same sums for many users, float32 [users, items]."""
        weighted, _ = weighted_histories(histories, users, decay)
        return np.asarray(weighted @ self.weights, np.float32)

    def similar(self, row: int) -> Floats:
        """Half of what the item says for others, half of what they say for it, float32 [items]."""
        near: Floats = np.float32(0.5) * (self.weights[row] + self.weights[:, row])
        return near

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The matrix."""
        return {"weights": self.weights}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """From the stored matrix."""
        return cls(arrays["weights"])


@dataclass(frozen=True, eq=False, slots=True)
class FactorBehaviour:
    """Implicit ALS with a text prior, for catalogues too large to solve whole. The weight of
    recency is its own option: ``decay`` is not read."""

    model: ImplicitAls
    kind = "als"

    @property
    def items(self) -> int:
        """How many items it was fitted on."""
        return len(self.model.items)

    @property
    def factors(self) -> Floats:
        """The items' factors, float32 [items, f]."""
        return self.model.items

    @property
    def own(self) -> Floats:
        """Zeros: an item's factors score it, too."""
        return np.zeros(self.items, np.float32)

    def fold_in(self, history: UserHistory) -> Floats:
        """The user's factors, float32 [f]."""
        return self.model.fold_in(history)

    def scores(self, history: UserHistory, decay: float) -> Floats:
        """The folded-in user's scores, float32 [items]."""
        found: Floats = self.model.items @ self.model.fold_in(history)
        return found

    def contributions(self, history: UserHistory, rows: Rows, decay: float) -> Floats:
        """The scores are linear in what was liked once the user's system is set up: each item's
        part of the right-hand side, solved by itself. Events of one item share its part, those
        of no strength left out."""
        given = np.zeros((len(history), len(rows)), np.float32)
        if not len(history):
            return given
        parts, columns = self._parts(history)
        gave = self.model.items[rows] @ parts
        for place, row in enumerate(columns.tolist()):
            events = np.flatnonzero((history.rows == row) & (history.strengths != 0))
            given[events] = gave[:, place] / len(events)
        return given

    def _parts(self, history: UserHistory) -> tuple[Floats, Rows]:
        """Each observed item's addend of the user's factors, float32 [f, c], and the items."""
        model = self.model
        starts = np.array([0, len(history)], np.int64)
        seen = observe(starts, history.rows, history.strengths, model.options)
        met = model.met.astype(np.float64)
        factors = model.items[seen.columns].astype(np.float64)
        system = model.items_gram + factors.T @ (factors * seen.weights[:, None])
        system += model.options.regularisation * np.eye(len(system))
        confidence = (met[seen.columns] + seen.weights) * seen.targets
        solved = np.linalg.solve(system, (factors * confidence[:, None]).T)
        return solved.astype(np.float32), seen.columns

    def score_users(self, histories: Histories, users: Rows, decay: float) -> Floats:
        """Many users folded in, float32 [users, items]."""
        return self.model.score_users(histories, users)

    def similar(self, row: int) -> Floats:
        """Cosines of the items' factors, float32 [items]."""
        lengths = np.linalg.norm(self.model.items, axis=1)
        lengths[lengths == 0] = 1.0
        near: Floats = (self.model.items @ self.model.items[row]) / (lengths * lengths[row])
        return near

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The factors and what places new ones, with the options as numbers."""
        options = self.model.options
        numbers = [getattr(options, name) for name in AlsOptions.__dataclass_fields__]
        return {**self.model.arrays(), "options": np.array(numbers, np.float64)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """From what ``arrays`` gave."""
        whole = {"factors", "iterations", "seed"}
        options: dict[str, Any] = {
            name: int(value) if name in whole else float(value)
            for name, value in zip(
                AlsOptions.__dataclass_fields__, arrays["options"].tolist(), strict=True
            )
        }
        return cls(ImplicitAls.of_arrays(arrays, AlsOptions(**options)))


KINDS: Mapping[str, type[LinearBehaviour] | type[FactorBehaviour]] = {
    LinearBehaviour.kind: LinearBehaviour,
    FactorBehaviour.kind: FactorBehaviour,
}
