"""One text by several threads while cores are free, by one while they are not.

The threads of a product meet some sixty times in a text, and wait by spinning. On free cores they
win a quarter of its time. Where something else wants a core, each meeting waits for the scheduler,
and a text takes several times as long. No figure of the system tells beforehand, but a
text that took far longer than others of its length tells afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Run = Callable[[NDArray[np.int64], NDArray[np.int64]], Floats]
"""Unit vectors float32 [b, dimensions] of token ids and mask, both int64 [b, t]."""

SLOW = 3.0
"""Times the fastest text of a length: what takes longer had to wait."""

PAUSE = 1.0
"""Seconds in which one thread computes after that."""


class OneText:
    """Runs ``together`` (several threads), or ``alone`` for a while after it was slow.

    Both give the same vectors. Calls are safe from any thread: at worst one is slow once more.
    """

    def __init__(
        self, together: Run, alone: Run, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._together, self._alone, self._clock = together, alone, clock
        self._fastest: dict[int, float] = {}
        self._alone_until = float("-inf")

    def __call__(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Floats:
        """Unit vectors float32 [1, dimensions] of token ids and mask, both int64 [1, t]."""
        started = self._clock()
        if started < self._alone_until:
            return self._alone(ids, mask)
        vectors = self._together(ids, mask)
        ended = self._clock()
        took, length = ended - started, ids.shape[1]
        fastest = self._fastest[length] = min(took, self._fastest.get(length, took))
        if took > SLOW * fastest:
            self._alone_until = ended + PAUSE
        return vectors
