"""What every served model of items can do, whatever it was fitted with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from shared.catalogue import CatalogueItem
from shared.histories import Rows, UserHistory, Weights

PARTS = ("behaviour", "text", "popular")
"""Where a score comes from. The parts of an item's score add up to it."""


@dataclass(frozen=True, eq=False, slots=True)
class ItemScores:
    """Scores of some items: their rows int64 [c], the totals float32 [c], and the parts that they
    are the sum of (float32 [c] each, by the names in ``PARTS``)."""

    rows: Rows
    totals: Weights
    parts: Mapping[str, Weights]


class ItemScorer(Protocol):
    """A fitted model over the rows of one catalogue; never changes, safe between threads.

    A history may name rows several times, and rows of items that the model was not fitted on.
    ``now`` is in seconds since 1970 UTC.
    """

    @property
    def version(self) -> str:
        """The bundle that it was loaded from."""
        ...

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The item of each row."""
        ...

    @property
    def row_of(self) -> Mapping[str, int]:
        """The row of each item."""
        ...

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Unit vectors of the items' texts, float32 [n, d]: what diversity and neighbours use."""
        ...

    @property
    def popularity(self) -> Weights:
        """Each item's share of recent events, divided by the greatest: float32 [n] in [0, 1]."""
        ...

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Whether the model was fitted on events of the item: False for a new one, bool [n]."""
        ...

    def score(
        self, history: UserHistory, *, allowed: NDArray[np.bool_], wanted: int, now: float
    ) -> ItemScores:
        """Candidates among the allowed rows (bool [n]) with their scores, in any order.

        At least ``wanted`` of them, or all that are allowed where they are fewer; the best
        ``wanted`` are among them. A catalogue of at most 20,000 items is scored whole. An empty
        history is an unknown user's.
        """
        ...

    def contributions(self, history: UserHistory, rows: Rows, *, now: float) -> Weights:
        """What each event of the history gave to the score of each row, float32 [h, rows].

        Summed over the history they are the score without its part ``popular``.
        """
        ...

    def similar(self, row: int) -> Weights:
        """How near every item is to that of ``row``, by behaviour and text, float32 [n]."""
        ...

    def search(self, text: str) -> Weights:
        """How well every item fits a text, float32 [n]."""
        ...

    def with_items(self, items: Sequence[CatalogueItem]) -> Self:
        """The model with these items known by their text too: new ones get rows at the end, those
        whose text changed get their new vector. The one it is asked of stays as it is."""
        ...
