"""What one caller asked of a batcher, and how its results get back to where it waits.

A coroutine is woken by its event loop: one call into a loop for all requests of a batch, however
many there are. A thread waits on a future of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.serving.watching.request_context import current_request_id

T = TypeVar("T")
LOGGER = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class BatchRequest(Generic[T]):
    """The texts of one caller and the results so far; a request may span batches.

    ``tokens`` has the weight of each text, ``taken`` how many are or were in a batch. Times are of
    ``time.perf_counter``, in seconds. ``loop`` is None where a thread waits.
    """

    texts: list[str]
    waiter: asyncio.Future[list[T]] | Future[list[T]]
    loop: asyncio.AbstractEventLoop | None
    tokens: Sequence[int] = ()
    taken: int = 0
    results: list[T] = field(default_factory=list)
    request_id: str | None = field(default_factory=current_request_id)
    arrived: float = field(default_factory=time.perf_counter)
    began: float | None = None
    ended: float = 0.0

    @property
    def left(self) -> int:
        """Texts that are not yet in a batch."""
        return len(self.texts) - self.taken


@dataclass(frozen=True, slots=True)
class Share(Generic[T]):
    """The part of a request that goes with one batch: texts ``start`` to ``stop``."""

    request: BatchRequest[T]
    start: int
    stop: int

    @property
    def texts(self) -> list[str]:
        """The texts themselves."""
        return self.request.texts[self.start : self.stop]


Settled = tuple[BatchRequest[T], list[T] | Exception]


def share_out(shares: Sequence[Share[T]], results: Sequence[T], ended: float) -> list[Settled[T]]:
    """Give each share its results, in order; the requests that are complete by that.

    Batches are computed one after the other, so that results come in the order of the texts.
    """
    complete: list[Settled[T]] = []
    begin = 0
    for share in shares:
        request = share.request
        end = begin + share.stop - share.start
        request.results.extend(results[begin:end])
        request.ended = ended
        begin = end
        if len(request.results) == len(request.texts):
            complete.append((request, request.results))
    return complete


def settle(settled: Iterable[Settled[T]]) -> None:
    """Hand each request its results or its error. Those whose callers are gone are passed over."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Settled[T]]] = {}
    for one in settled:
        if one[0].loop is None:
            _settle([one])
        else:
            by_loop.setdefault(one[0].loop, []).append(one)
    for loop, found in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, found)
        except RuntimeError:  # the loop is closed, and everything that waited in it gone
            LOGGER.debug("results of %d requests came after their event loop ended", len(found))


def _settle(settled: Sequence[Settled[T]]) -> None:
    for request, outcome in settled:
        if request.waiter.done():
            continue
        if isinstance(outcome, Exception):
            request.waiter.set_exception(outcome)
        else:
            request.waiter.set_result(outcome)
