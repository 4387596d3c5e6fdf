"""Threads that run blocking work, several pieces in each of them side by side.

    pieces that wait ── each runs until it asks for a shared computation
                     ── one computation for all that asked
                     ── each goes on, in order, and is done

Where a piece asks for what is cheaper for many than for each (``computed_together``), its thread
puts it aside and begins the next. A thread that runs one piece after another cannot do that, and
one thread a piece makes them fight for Python's lock: work that was begun first then ends last.
A piece that asks for nothing simply runs. No lock may be held while one asks: the next piece runs
in the same thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")
Asked = TypeVar("Asked")
Found = TypeVar("Found")

SIDE_BY_SIDE = 8
"""Pieces that a thread has under way; more gain little, and the first of them waits for all."""

_thread = threading.local()


@dataclass(frozen=True, slots=True)
class _Asks:
    """What a piece waits for."""

    compute: Callable[[list[Any]], Iterable[Any]]
    asked: Any


@dataclass(frozen=True, slots=True)
class _Told:
    """What it is told."""

    found: Any = None
    error: BaseException | None = None


_Paused = list[tuple[greenlet, _Asks]]


def is_interleaved() -> bool:
    """Whether this is a piece of work that others run beside."""
    run_by = getattr(_thread, "run_by", None)
    return run_by is not None and getcurrent() is not run_by


def computed_together(compute: Callable[[list[Asked]], Iterable[Found]], asked: Asked) -> Found:
    """The result for what this piece asks, computed with what others beside it ask of the same.

    ``compute`` gives one result for each; what it raises is raised to all of them. RuntimeError
    outside of a piece.
    """
    if not is_interleaved():
        raise RuntimeError("nothing runs beside this")
    told: _Told = _thread.run_by.switch(_Asks(compute, asked))
    if told.error is not None:
        raise told.error
    found: Found = told.found
    return found


class InterleavingThreads:
    """``threads`` threads, each with at most ``most`` pieces of work under way.

    They start at once; ``close`` ends them.
    """

    def __init__(self, threads: int, *, most: int = SIDE_BY_SIDE, name: str = "work") -> None:
        if threads < 1 or most < 1:
            raise ValueError("at least one thread runs one piece")
        self._most = most
        self._queue: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run it when its turn comes, first come, first served. RuntimeError once closed."""
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("these threads have ended")
            self._queue.append((work, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Cancel what waits, and return when what is under way is done."""
        with self._changed:
            self._closed = True
            waiting, self._queue = self._queue, deque()
            self._changed.notify_all()
        for _, future in waiting:
            future.cancel()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        _thread.run_by = getcurrent()
        while pieces := self._next():
            _run_side_by_side(pieces)

    def _next(self) -> list[tuple[Callable[[], Any], Future[Any]]]:
        """This thread's share of what waits, at least one; nothing when it shall end."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            share = -(-len(self._queue) // len(self._threads))
            return [self._queue.popleft() for _ in range(min(self._most, share))]


def _run_side_by_side(pieces: Sequence[tuple[Callable[[], Any], Future[Any]]]) -> None:
    paused: _Paused = []
    for work, future in pieces:
        _go_on(greenlet(_finish), paused, work, future)
    while paused:
        compute = paused[0][1].compute
        together = [one for one in paused if one[1].compute == compute]
        paused = [one for one in paused if one[1].compute != compute]
        told = _compute(compute, [asks.asked for _, asks in together])
        for (piece, _), answer in zip(together, told, strict=True):
            _go_on(piece, paused, answer)


def _go_on(piece: greenlet, paused: _Paused, *told: Any) -> None:
    """Run a piece until it ends, or asks for something and is paused."""
    asks = piece.switch(*told)
    if not piece.dead:
        paused.append((piece, asks))


def _compute(compute: Callable[[list[Any]], Iterable[Any]], asked: list[Any]) -> list[_Told]:
    try:
        found = list(compute(asked))
        if len(found) != len(asked):
            raise ValueError(f"{len(found)} results for {len(asked)} that asked")
        return [_Told(one) for one in found]
    except BaseException as error:
        return [_Told(error=error)] * len(asked)


def _finish(work: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        found = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(found)
