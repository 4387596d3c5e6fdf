"""Parts of one batch computed by several threads, each its own part at a time.

Threads within a product wait for one another some sixty times a message, by spinning: on two cores
they won a batch of short messages a third of the time, and lost it all where something else wanted
a core. Threads that each compute a part of the batch meet once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Part = TypeVar("Part")


def side_by_side(work: Callable[[Part], object], parts: Iterable[Part], threads: int) -> None:
    """Call ``work`` once for each part, by this thread and up to ``threads - 1`` others.

    Back when all are done. The first error is raised, and parts not begun by then are left. A
    thread that is busy elsewhere is not waited for.
    """
    left = deque(parts)

    def until_none() -> None:
        while True:
            try:
                part = left.popleft()
            except IndexError:
                return
            try:
                work(part)
            except BaseException:
                left.clear()
                raise

    helpers = min(threads, len(left)) - 1
    called = [_helpers().submit(until_none) for _ in range(helpers)]
    try:
        until_none()
    finally:
        for helper in called:
            if not helper.cancel():
                helper.result()


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads of the process, as many as its cores, started when they are needed."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="graph")
