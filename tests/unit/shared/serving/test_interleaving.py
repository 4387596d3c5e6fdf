"""Pieces of work side by side in a thread: what they ask for is computed once for all of them."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import TypeVar

import pytest

from shared.serving.interleaving import InterleavingThreads, computed_together, is_interleaved

pytestmark = pytest.mark.unit
T = TypeVar("T")


class Squares:
    """Squares numbers, and notes which it was given at a time."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, numbers: list[int]) -> list[int]:
        self.calls.append(numbers)
        if -1 in numbers:
            raise ValueError("none of these")
        return [number * number for number in numbers]


@pytest.fixture
def one() -> Iterator[InterleavingThreads]:
    threads = InterleavingThreads(1)
    yield threads
    threads.close()


def all_at_once(threads: InterleavingThreads, pieces: list[Callable[[], T]]) -> list[Future[T]]:
    """Submitted while the only thread is busy, so that they are begun together."""
    gate = threading.Event()
    busy = threads.submit(gate.wait)
    while not busy.running():
        time.sleep(0.001)
    futures = [threads.submit(piece) for piece in pieces]
    gate.set()
    return futures


def test_what_pieces_ask_is_computed_once_for_all_and_each_has_its_own(
    one: InterleavingThreads,
) -> None:
    squares, begun, ended = Squares(), [], []

    def piece(number: int) -> int:
        begun.append(number)
        found = computed_together(squares, number)
        ended.append(number)
        return found + computed_together(squares, number + 10)

    futures = all_at_once(one, [lambda n=n: piece(n) for n in range(4)])  # type: ignore[misc]
    assert [future.result(10) for future in futures] == [n * n + (n + 10) ** 2 for n in range(4)]
    assert squares.calls == [[0, 1, 2, 3], [10, 11, 12, 13]]
    assert begun == ended == [0, 1, 2, 3]


def test_no_more_run_side_by_side_than_may() -> None:
    threads, squares = InterleavingThreads(1, most=3), Squares()
    pieces = [lambda n=n: computed_together(squares, n) for n in range(7)]  # type: ignore[misc]
    futures = all_at_once(threads, pieces)
    assert [future.result(10) for future in futures] == [n * n for n in range(7)]
    threads.close()
    assert [len(call) for call in squares.calls] == [3, 3, 1]


def test_pieces_that_ask_for_other_things_or_nothing(one: InterleavingThreads) -> None:
    squares, others = Squares(), Squares()
    futures = all_at_once(
        one,
        [
            lambda: computed_together(squares, 2),
            lambda: 7,
            lambda: computed_together(others, 3),
            lambda: computed_together(squares, 4),
        ],
    )
    assert [future.result(10) for future in futures] == [4, 7, 9, 16]
    assert (squares.calls, others.calls) == ([[2, 4]], [[3]])


def test_an_error_reaches_who_made_it_or_all_who_shared_it(one: InterleavingThreads) -> None:
    squares = Squares()

    def broken() -> int:
        raise KeyError("mine")

    futures = all_at_once(
        one,
        [
            lambda: computed_together(squares, -1),
            broken,
            lambda: computed_together(squares, 5),
            lambda: 1,
        ],
    )
    with pytest.raises(ValueError, match="none of these"):
        futures[0].result(10)
    with pytest.raises(KeyError, match="mine"):
        futures[1].result(10)
    with pytest.raises(ValueError, match="none of these"):
        futures[2].result(10)
    assert futures[3].result(10) == 1
    assert one.submit(lambda: computed_together(squares, 6)).result(10) == 36


def test_too_few_results_are_an_error_and_leave_nobody_waiting(one: InterleavingThreads) -> None:
    future = one.submit(lambda: computed_together(lambda asked: [], 1))
    with pytest.raises(ValueError, match="0 results for 1"):
        future.result(10)


def test_each_piece_keeps_its_own_context(one: InterleavingThreads) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    squares = Squares()

    def piece(name: str) -> str:
        who.set(name)
        computed_together(squares, 1)
        return who.get()

    pieces = [
        lambda n=n: contextvars.Context().run(piece, n)  # type: ignore[misc]
        for n in ("ann", "bo", "cy")
    ]
    assert [f.result(10) for f in all_at_once(one, pieces)] == ["ann", "bo", "cy"]
    assert len(squares.calls) == 1
    assert who.get() == "nobody"


def test_threads_share_what_waits() -> None:
    threads, names, together = InterleavingThreads(2), set(), threading.Barrier(2)

    def piece() -> None:
        names.add(threading.current_thread().name)
        together.wait(10)  # one thread alone would wait for ever

    for future in [threads.submit(piece) for _ in range(2)]:
        future.result(10)
    threads.close()
    assert names == {"work-0", "work-1"}


def test_the_end_waits_for_what_runs_and_cancels_what_waits() -> None:
    threads, gate = InterleavingThreads(1), threading.Event()
    running = threads.submit(lambda: gate.wait(10))
    while not running.running():
        time.sleep(0.001)
    waiting = threads.submit(lambda: None)
    threading.Timer(0.05, gate.set).start()
    threads.close()
    assert running.result(0)
    with pytest.raises(CancelledError):
        waiting.result(0)
    with pytest.raises(RuntimeError, match="ended"):
        threads.submit(lambda: None)


def test_what_was_cancelled_is_not_begun(one: InterleavingThreads) -> None:
    gate, begun = threading.Event(), []
    one.submit(gate.wait)
    unwanted = one.submit(lambda: begun.append(1))
    assert unwanted.cancel()
    gate.set()
    one.submit(lambda: None).result(10)
    assert not begun


def test_outside_of_a_piece_there_is_no_company(one: InterleavingThreads) -> None:
    assert not is_interleaved()
    assert one.submit(is_interleaved).result(10)
    with pytest.raises(RuntimeError, match="beside"):
        computed_together(Squares(), 1)


@pytest.mark.parametrize(("threads", "most"), [(0, 1), (1, 0)])
def test_no_thread_and_no_piece_are_refused(threads: int, most: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        InterleavingThreads(threads, most=most)
