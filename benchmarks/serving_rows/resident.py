"""Resident memory of processes while they work, read each second."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

WARM_UP = 0.2
"""The share of the readings that growth leaves out."""


class ResidentMemory:
    """Resident bytes of the processes that ``processes`` names at each reading, all together."""

    def __init__(self, processes: Callable[[], Iterable[psutil.Process]]) -> None:
        self.readings: list[tuple[float, int]] = []
        self._processes = processes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._stop.wait(1.0):
            total = sum(resident_bytes(one) for one in self._processes())
            if total:
                self.readings.append((time.monotonic(), total))

    def close(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join()

    def most(self) -> float:
        """The highest reading, MB."""
        return max(size for _, size in self.readings) / 2**20

    def growth(self) -> tuple[float, float, float]:
        """Growth after warm-up as a share, and the megabytes before and after it.

        Between the medians of the first and the last quarter of what comes after warm-up.
        """
        sizes = [size for _, size in self.readings]
        settled = sizes[int(len(sizes) * WARM_UP) :]
        quarter = max(1, len(settled) // 4)
        before = statistics.median(settled[:quarter])
        after = statistics.median(settled[-quarter:])
        return after / before - 1, before / 2**20, after / 2**20


def resident_bytes(process: psutil.Process) -> int:
    """None of a process that has ended."""
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0
