"""Micro-batching: texts of many requests go through the model together, in one worker thread.

    submit ──> queue ──(at most max_batch texts, at most max_wait_ms)──> predict ──> each request

A model on few cores is fastest when one thread feeds it batches. The event loop never computes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from shared.errors import NotReady, Overloaded
from shared.serving.request_context import current_request_id, working_for
from shared.serving.telemetry import past_span

T = TypeVar("T")
LOGGER = logging.getLogger(__name__)
_NOTHING = object()


class BatchObserver(Protocol):
    """What is told of every batch; ``shared.serving.metrics.BatchMetrics`` is one."""

    def batch(self, waited: Sequence[float], inference_seconds: float) -> None:
        """Note the seconds that each text waited, and those of the model."""
        ...


@dataclass(eq=False)
class _Request(Generic[T]):
    """The texts of one caller and the results so far; a request may span batches."""

    texts: list[str]
    arrived: float
    future: Future[list[T]]
    results: list[object] = field(default_factory=list)
    taken: int = 0
    request_id: str | None = field(default_factory=current_request_id)
    began: float | None = None
    ended: float = 0.0

    def __post_init__(self) -> None:
        self.results = [_NOTHING] * len(self.texts)


@dataclass(frozen=True)
class _Share(Generic[T]):
    """The part of a request that goes with one batch: texts ``start`` to ``stop``."""

    request: _Request[T]
    start: int
    stop: int

    @property
    def texts(self) -> list[str]:
        return self.request.texts[self.start : self.stop]


class MicroBatcher(Generic[T]):
    """Gathers texts into batches for ``predict``, which gives one result a text.

    ``predict`` runs in the one worker thread only. When it fails for a batch that several
    requests share, each request's part is tried alone, so that one bad text fails no other.
    ``max_queue`` counts waiting texts; Overloaded is raised beyond it. Requests that are
    cancelled while they wait are dropped. ``observer`` may be set later.
    """

    def __init__(
        self,
        predict: Callable[[list[str]], list[T]],
        *,
        max_batch: int = 32,
        max_wait_ms: float = 2,
        max_queue: int = 1024,
        observer: BatchObserver | None = None,
    ) -> None:
        if max_batch < 1 or max_queue < 1 or max_wait_ms < 0:
            raise ValueError("max_batch and max_queue are at least 1, max_wait_ms at least 0")
        self._predict = predict
        self._max_batch = max_batch
        self._max_wait = max_wait_ms / 1000
        self._max_queue = max_queue
        self.observer = observer
        self._waiting: deque[_Request[T]] = deque()
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False

    async def submit(self, texts: Sequence[str]) -> list[T]:
        """Results in the order of ``texts``; for coroutines.

        Raises Overloaded when too many texts wait, NotReady once the batcher is closed, and
        whatever ``predict`` raises.
        """
        request = self._enqueue(texts)
        results = await asyncio.wrap_future(request.future)
        _trace(request)
        return results

    def submit_blocking(self, texts: Sequence[str]) -> list[T]:
        """As ``submit``, for code that runs in a thread of its own (a plain ``def`` route)."""
        request = self._enqueue(texts)
        results = request.future.result()
        _trace(request)
        return results

    @property
    def waiting(self) -> int:
        """Texts that wait now, for ``Metrics.batches_of``."""
        with self._changed:
            return self._count_waiting()

    def close(self) -> None:
        """End the worker. Requests that still wait get NotReady."""
        with self._changed:
            self._closed = True
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
            worker = self._worker
        for request in left:
            _fail(request, NotReady("the server is shutting down"))
        if worker is not None:
            worker.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _enqueue(self, texts: Sequence[str]) -> _Request[T]:
        future: Future[list[T]] = Future()
        request = _Request[T](list(texts), time.perf_counter(), future)
        if not request.texts:
            future.set_result([])
            return request
        with self._changed:
            if self._closed:
                raise NotReady("the server is shutting down")
            waiting = self._count_waiting()
            if waiting + len(request.texts) > self._max_queue:
                raise Overloaded(
                    f"{waiting} texts wait for the model already, and at most {self._max_queue} "
                    "may: try again in a moment, or send fewer at once",
                    waiting=waiting,
                    retry_after_seconds=1,
                )
            if self._worker is None:
                self._worker = threading.Thread(target=self._run, name="batcher", daemon=True)
                self._worker.start()
            self._waiting.append(request)
            self._changed.notify_all()
        return request

    def _count_waiting(self) -> int:
        """Texts in the queue. Cancelled requests leave it here."""
        if any(request.future.done() for request in self._waiting):
            self._waiting = deque(one for one in self._waiting if not one.future.done())
        return sum(len(request.texts) - request.taken for request in self._waiting)

    def _run(self) -> None:
        while shares := self._next_batch():
            with working_for(share.request.request_id for share in shares):
                self._compute(shares)

    def _next_batch(self) -> list[_Share[T]]:
        """Wait for a first text, then a little for more. Empty when the batcher is closed."""
        with self._changed:
            while not self._closed:
                if not self._count_waiting():
                    self._changed.wait()
                    continue
                deadline = self._waiting[0].arrived + self._max_wait
                while (
                    not self._closed
                    and 0 < self._count_waiting() < self._max_batch
                    and (left := deadline - time.perf_counter()) > 0
                ):
                    self._changed.wait(left)
                if shares := self._take():
                    return shares
            return []

    def _take(self) -> list[_Share[T]]:
        shares: list[_Share[T]] = []
        room = self._max_batch
        while room and self._waiting:
            request = self._waiting[0]
            if request.future.done():
                self._waiting.popleft()
                continue
            stop = min(len(request.texts), request.taken + room)
            shares.append(_Share(request, request.taken, stop))
            room -= stop - request.taken
            request.taken = stop
            if stop == len(request.texts):
                self._waiting.popleft()
        return shares

    def _compute(self, shares: list[_Share[T]]) -> None:
        texts = [text for share in shares for text in share.texts]
        began = time.perf_counter()
        waited = [began - share.request.arrived for share in shares for _ in share.texts]
        for share in shares:
            if share.request.began is None:
                share.request.began = began
        try:
            results = self._checked(texts)
        except Exception as error:
            if len({id(share.request) for share in shares}) == 1:
                _fail(shares[0].request, error)
            else:
                for share in shares:
                    self._compute([share])
            return
        if self.observer is not None:
            try:
                self.observer.batch(waited, time.perf_counter() - began)
            except Exception:
                LOGGER.exception("the observer of the batcher failed")
        ended = time.perf_counter()
        for share in shares:
            share.request.ended = ended
            _deliver(share, results[: len(share.texts)])
            results = results[len(share.texts) :]

    def _checked(self, texts: list[str]) -> list[T]:
        results = self._predict(texts)
        if len(results) != len(texts):
            raise RuntimeError(f"{len(results)} results for {len(texts)} texts")
        return list(results)


def _trace(request: _Request[T]) -> None:
    """Spans of the wait and of the model's work (all batches of it), where a trace is taken."""
    if request.began is not None:
        past_span("queue", request.arrived, request.began)
        past_span("inference", request.began, request.ended, texts=len(request.texts))


def _deliver(share: _Share[T], results: list[T]) -> None:
    request = share.request
    request.results[share.start : share.stop] = results
    if any(result is _NOTHING for result in request.results):
        return
    try:
        request.future.set_result(request.results)  # type: ignore[arg-type]
    except (InvalidStateError, CancelledError):
        LOGGER.debug("a request was cancelled before its results came")


def _fail(request: _Request[T], error: Exception) -> None:
    try:
        request.future.set_exception(error)
    except (InvalidStateError, CancelledError):
        LOGGER.debug("a request was cancelled before it failed")
