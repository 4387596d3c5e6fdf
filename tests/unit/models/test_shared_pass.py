"""Whoever asks gets the answer to what he asked, alone or together, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.shared_pass import SharedPass

pytestmark = pytest.mark.unit


class Squares:
    """Squares numbers, and notes how many at a time; waits where a gate is shut."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.sizes: list[int] = []
        self.inside = 0

    def __call__(self, numbers: list[int]) -> list[int]:
        self.inside += 1
        assert self.inside == 1, "two at once"
        self.sizes.append(len(numbers))
        assert self.gate.wait(10)
        time.sleep(0.0005)  # others come
        if -1 in numbers:
            self.inside -= 1
            raise ValueError("none of these")
        self.inside -= 1
        return [number * number for number in numbers]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def waiting_behind_one(
    squares: Squares, asked: SharedPass[int, int], threads: ThreadPoolExecutor, numbers: list[int]
) -> list[object]:
    """What each number gives, asked while 0 is under way: a square or an error."""
    squares.gate.clear()
    first = threads.submit(asked, 0)
    while not squares.sizes:
        time.sleep(0.001)
    others = []
    for number in numbers:  # one after another, so that their order is known
        others.append(threads.submit(asked, number))
        while len(asked._queue) < len(others):
            time.sleep(0.001)
    squares.gate.set()
    assert first.result(10) == 0
    return [one.exception(10) or one.result() for one in others]


def test_who_comes_alone_computes_alone() -> None:
    squares = Squares()
    asked = SharedPass(squares, most=4)
    assert [asked(number) for number in (3, 4)] == [9, 16]
    assert squares.sizes == [1, 1]


def test_those_who_come_meanwhile_share_and_no_more_than_may(threads: ThreadPoolExecutor) -> None:
    squares = Squares()
    asked = SharedPass(squares, most=4)
    found = waiting_behind_one(squares, asked, threads, [1, 2, 3, 4, 5, 6])
    assert found == [1, 4, 9, 16, 25, 36]
    assert squares.sizes == [1, 4, 2]


def test_an_error_reaches_those_who_shared_it_alone(threads: ThreadPoolExecutor) -> None:
    squares = Squares()
    asked = SharedPass(squares, most=2)
    found = waiting_behind_one(squares, asked, threads, [1, -1, 3, 4])
    assert [str(one) for one in found] == ["none of these", "none of these", "9", "16"]
    assert asked(5) == 25


def test_many_callers_get_each_their_own(threads: ThreadPoolExecutor) -> None:
    squares = Squares()
    asked = SharedPass(squares, most=8)
    numbers = list(range(2_000))
    assert list(threads.map(asked, numbers)) == [number * number for number in numbers]
    assert max(squares.sizes) > 1
    assert asked._queue == []
    assert not asked._running
