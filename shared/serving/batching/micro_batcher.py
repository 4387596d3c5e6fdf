"""Micro-batching: texts of many requests go through the model together, in one worker thread.

    submit ──> queue ──(at most max_batch texts and max_tokens)──> predict ──> each request
                 └── too long a queue, or too long in it: Overloaded (503, with Retry-After)

A model on few cores is fastest when one thread feeds it batches. The event loop never computes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from shared.errors import NotReady, Overloaded
from shared.serving.batching.requests import BatchRequest, Share, settle, share_out
from shared.serving.disconnects import current_caller
from shared.serving.watching.request_context import working_for
from shared.serving.watching.telemetry import past_span

T = TypeVar("T")
LOGGER = logging.getLogger(__name__)
LONGEST_PAUSE = 60
"""Seconds: the longest Retry-After."""
IDLE_SECONDS = 30.0
"""A worker to which nothing comes ends after that time."""


class BatchObserver(Protocol):
    """What is told of every batch; ``shared.serving.watching.metrics.BatchMetrics`` is one."""

    def batch(self, waited: Sequence[float], inference_seconds: float) -> None:
        """Note the seconds that each text waited, and those of the model."""
        ...


def estimate_tokens(text: str) -> int:
    """About how many tokens a sub-word tokenizer makes of a text, rather too many than too few.

    English prose has four to five characters a token; scripts without spaces one to two, of two
    or three bytes each.
    """
    return 2 + (len(text) if text.isascii() else len(text.encode("utf-8", "replace"))) // 3


class MicroBatcher(Generic[T]):
    """Gathers texts into batches for ``predict``, which gives one result a text.

    A batch has at most ``max_batch`` texts, and as many as fill ``max_tokens`` once each is padded
    to the longest (``tokens_of`` a text, at most ``longest``); a text above the budget goes alone.
    A first text after a quiet time goes at once; where requests come side by side, a batch waits
    up to ``max_wait_ms`` for more.

    ``max_queue`` counts waiting texts: beyond it Overloaded is raised. Requests that wait longer
    than ``max_queue_seconds`` are dropped with Overloaded, those that are cancelled silently; both
    leave what has not been computed of them. Overloaded says when to try again, from the rate of
    the last batches. ``predict`` runs in the one worker thread only. When it fails for a batch
    that several requests share, each request's part is tried alone, so that one bad text fails no
    other. ``observer`` may be set later.
    """

    def __init__(
        self,
        predict: Callable[[list[str]], list[T]],
        *,
        max_batch: int = 32,
        max_tokens: int = 4096,
        max_wait_ms: float = 2,
        max_queue: int = 1024,
        max_queue_seconds: float = 10,
        longest: int = 512,
        tokens_of: Callable[[str], int] = estimate_tokens,
        observer: BatchObserver | None = None,
    ) -> None:
        if min(max_batch, max_queue, max_tokens, longest) < 1 or max_wait_ms < 0:
            raise ValueError("sizes and budgets are at least 1, max_wait_ms at least 0")
        if max_queue_seconds <= 0:
            raise ValueError("max_queue_seconds is above 0; at least a second is sensible")
        self._predict = predict
        self._max_batch = max_batch
        self._max_tokens = max_tokens
        self._max_wait = max_wait_ms / 1000
        self._max_queue = max_queue
        self._patience = max_queue_seconds
        self._longest = longest
        self._tokens_of = tokens_of
        self.observer = observer
        self._queue: deque[BatchRequest[T]] = deque()
        self._waiting = 0
        self._changed = threading.Condition(threading.Lock())
        self._idle = False
        self._company = False
        self._seconds_a_text = 0.0
        self._worker: threading.Thread | None = None
        self._closed = False

    async def submit(self, texts: Sequence[str]) -> list[T]:
        """Results in the order of ``texts``; for coroutines.

        Raises Overloaded when too many texts wait or this waited too long, NotReady once the
        batcher is closed, and whatever ``predict`` raises.
        """
        if not texts:
            return []
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[list[T]] = loop.create_future()
        request = BatchRequest(list(texts), waiter, loop)
        self._enqueue(request)
        timer = loop.call_later(self._patience, self._give_up, request)
        try:
            results = await waiter
        except asyncio.CancelledError:
            self._forget(request)
            raise
        finally:
            timer.cancel()
        _trace(request)
        return results

    def submit_blocking(self, texts: Sequence[str]) -> list[T]:
        """As ``submit``, for code that runs in a thread of its own (a plain ``def`` route).

        Raises CancelledError (of ``concurrent.futures``), too, when the caller has left.
        """
        if not texts:
            return []
        waiter: Future[list[T]] = Future()
        request = BatchRequest(list(texts), waiter, None)
        self._enqueue(request)
        caller = current_caller()
        if caller is not None:
            caller.when_gone = lambda: self._abandon(request)
            if caller.gone:
                self._abandon(request)
        try:
            results = waiter.result(self._patience)
        except TimeoutError:
            self._give_up(request)
            results = waiter.result()
        finally:
            if caller is not None:
                caller.when_gone = None
        _trace(request)
        return results

    @property
    def waiting(self) -> int:
        """Texts that wait now, for ``Metrics.batches_of``."""
        return self._waiting

    def close(self) -> None:
        """End the worker. Requests that still wait get NotReady."""
        with self._changed:
            self._closed = True
            left = list(self._queue)
            self._queue.clear()
            self._waiting = 0
            self._changed.notify_all()
            worker = self._worker
        settle([(request, NotReady("the server is shutting down")) for request in left])
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

    def _enqueue(self, request: BatchRequest[T]) -> None:
        longest = self._longest
        request.tokens = [min(self._tokens_of(text), longest) for text in request.texts]
        with self._changed:
            if self._closed:
                raise NotReady("the server is shutting down")
            if self._waiting + len(request.texts) > self._max_queue:
                raise self._overloaded(
                    f"{self._waiting} texts wait for the model already, and at most "
                    f"{self._max_queue} may: try again in a moment, or send fewer at once"
                )
            if self._worker is None:
                self._worker = threading.Thread(target=self._run, name="batcher", daemon=True)
                self._worker.start()
            self._queue.append(request)
            self._waiting += len(request.texts)
            # A worker that computes, or waits for company that is not complete, need not wake.
            if self._idle or self._waiting >= self._max_batch:
                self._changed.notify()

    def _overloaded(self, message: str) -> Overloaded:
        seconds = max(1.0, self._waiting * self._seconds_a_text)
        return Overloaded(
            message,
            waiting=self._waiting,
            retry_after_seconds=round(min(seconds, LONGEST_PAUSE), 1),
        )

    def _remove(self, request: BatchRequest[T]) -> bool:
        """Take what is left of a request out of the queue; whether anything was."""
        try:
            self._queue.remove(request)
        except ValueError:
            return False
        self._waiting -= request.left
        return True

    def _forget(self, request: BatchRequest[T]) -> None:
        with self._changed:
            self._remove(request)

    def _abandon(self, request: BatchRequest[T]) -> None:
        self._forget(request)
        request.waiter.cancel()

    def _give_up(self, request: BatchRequest[T]) -> None:
        """Drop a request that waited too long, unless all of it is being computed."""
        with self._changed:
            if not self._remove(request):
                return
            error = self._too_late()
        settle([(request, error)])

    def _too_late(self) -> Overloaded:
        return self._overloaded(
            f"this waited {self._patience:g} seconds for the model: too much is asked of it, "
            "try again later"
        )

    def _run(self) -> None:
        while shares := self._next_batch():
            with working_for(share.request.request_id for share in shares):
                self._compute(shares)

    def _next_batch(self) -> list[Share[T]]:
        """Wait for a first text, and then for company. Empty when the batcher is closed."""
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._company = False
                    if not self._wait(IDLE_SECONDS) and not self._queue:
                        self._worker = None  # the next request starts another
                        return []
                if self._closed:
                    return []
                if self._company or len(self._queue) > 1:
                    self._wait_for_company()
                late: list[tuple[BatchRequest[T], list[T] | Exception]] = []
                shares = self._take(late)
            settle(late)
            if shares:
                self._company = len(shares) > 1
                return shares

    def _wait(self, seconds: float) -> bool:
        self._idle = not self._queue
        woken = self._changed.wait(seconds)
        self._idle = False
        return woken

    def _wait_for_company(self) -> None:
        while not self._closed and 0 < self._waiting < self._max_batch:
            left = self._queue[0].arrived + self._max_wait - time.perf_counter()
            if left <= 0:
                return
            self._wait(left)

    def _take(self, late: list[tuple[BatchRequest[T], list[T] | Exception]]) -> list[Share[T]]:
        """The next batch, first come first; what waited too long goes to ``late``."""
        shares: list[Share[T]] = []
        count = widest = 0
        since = time.perf_counter() - self._patience
        while self._queue and count < self._max_batch:
            request = self._queue[0]
            if request.arrived < since:
                self._queue.popleft()
                self._waiting -= request.left
                late.append((request, self._too_late()))
                continue
            start = stop = request.taken
            while stop < len(request.texts) and count < self._max_batch:
                width = max(widest, request.tokens[stop])
                if count and width * (count + 1) > self._max_tokens:
                    break
                widest, count, stop = width, count + 1, stop + 1
            if stop > start:
                shares.append(Share(request, start, stop))
                request.taken = stop
                self._waiting -= stop - start
            if stop < len(request.texts):
                break
            self._queue.popleft()
        return shares

    def _compute(self, shares: list[Share[T]]) -> None:
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
                self._forget(shares[0].request)
                settle([(shares[0].request, error)])
            else:
                for share in shares:
                    self._compute([share])
            return
        ended = time.perf_counter()
        settle(share_out(shares, results, ended))
        self._note(waited, ended - began)

    def _checked(self, texts: list[str]) -> list[T]:
        results = self._predict(texts)
        if len(results) != len(texts):
            raise RuntimeError(f"{len(results)} results for {len(texts)} texts")
        return list(results)

    def _note(self, waited: list[float], seconds: float) -> None:
        one = seconds / len(waited)
        before = self._seconds_a_text or one
        self._seconds_a_text = 0.9 * before + 0.1 * one
        if self.observer is not None:
            try:
                self.observer.batch(waited, seconds)
            except Exception:
                LOGGER.exception("the observer of the batcher failed")


def _trace(request: BatchRequest[T]) -> None:
    """Spans of the wait and of the model's work (all batches of it), where a trace is taken."""
    if request.began is not None:
        past_span("queue", request.arrived, request.began)
        past_span("inference", request.began, request.ended, texts=len(request.texts))
