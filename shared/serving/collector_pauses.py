"""Keeps Python's cyclic collector from holding up all requests while it walks what stays anyway.

A catalogue of 100,000 items is a million objects, and a full collection over them stops every
thread for a fifth of a second, again and again. What has survived a long collection is a model, a
catalogue or a module: it is taken out of the collector's sight, as ``gc.freeze`` is made for.
Reference counts free it as before; only a cycle within it would stay.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping

LONGEST_SECONDS = 0.01
"""A full collection that takes longer is not repeated over the same objects."""


class CollectorPauses:
    """Watches this process's full collections from ``install`` to ``remove``."""

    def __init__(self, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._longest_seconds = longest_seconds
        self._began = 0.0

    def install(self) -> None:
        """From here on what survives a long collection is collected no more."""
        gc.callbacks.append(self._collected)

    def remove(self) -> None:
        """Let the collector see everything again."""
        gc.callbacks.remove(self._collected)
        gc.unfreeze()

    def _collected(self, phase: str, info: Mapping[str, int]) -> None:
        if info["generation"] < 2:
            return
        if phase == "start":
            self._began = time.perf_counter()
        elif time.perf_counter() - self._began > self._longest_seconds:
            gc.freeze()
