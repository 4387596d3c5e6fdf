"""Arrays of one row a text, computed for many callers in one batch.

For code that runs in threads (plain ``def`` routes): the callers that come side by side share a
batch, and each gets its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.serving.batching.micro_batcher import BatchObserver, MicroBatcher

Rows = NDArray[Any]
LARGE = 64
"""Texts of one call that are a batch already, and go past the queue."""


class BatchedRows:
    """``compute`` gives an array [n, d] for n texts; calls with few texts go through a batcher.

    The batcher's thread ends when nothing comes, so that one that is let go leaves nothing behind.
    Raises what ``MicroBatcher.submit_blocking`` raises.
    """

    def __init__(
        self, compute: Callable[[list[str]], Rows], *, observer: BatchObserver | None = None
    ) -> None:
        self._compute = compute
        self._batcher: MicroBatcher[Rows] = MicroBatcher(
            lambda texts: list(compute(texts)), observer=observer
        )

    @property
    def waiting(self) -> int:
        """Texts that wait now."""
        return self._batcher.waiting

    def __call__(self, texts: Sequence[str]) -> Rows:
        """The rows of the texts, in order."""
        if not 0 < len(texts) <= LARGE:
            return self._compute(list(texts))
        return np.stack(self._batcher.submit_blocking(texts))
