"""A text by several threads, until one had to wait for a core."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.runtime.free_cores import PAUSE, OneText

pytestmark = pytest.mark.unit


class Machine:
    """A clock, and cores on which a text takes so many seconds."""

    def __init__(self) -> None:
        self.now, self.seconds = 100.0, 0.001
        self.calls: list[str] = []
        self.run = OneText(self._way("together"), self._way("alone"), clock=lambda: self.now)

    def _way(self, name: str):  # type: ignore[no-untyped-def]
        def run(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
            self.calls.append(name)
            self.now += self.seconds
            return ids.astype(np.float32)

        return run

    def read(self, tokens: int = 12) -> str:
        ids = np.ones((1, tokens), dtype=np.int64)
        assert self.run(ids, ids).shape == (1, tokens)
        return self.calls[-1]


def test_on_free_cores_all_threads_compute() -> None:
    machine = Machine()
    assert {machine.read() for _ in range(5)} == {"together"}


def test_after_a_wait_one_thread_computes_for_a_while_and_then_it_is_tried_again() -> None:
    machine = Machine()
    machine.read()
    machine.seconds = 0.01
    assert machine.read() == "together", "nothing told beforehand"
    assert machine.read() == "alone"
    machine.now += PAUSE
    assert machine.read() == "together", "tried again, and slow again"
    assert machine.read() == "alone"
    machine.now += PAUSE
    machine.seconds = 0.001
    assert [machine.read() for _ in range(3)] == ["together"] * 3


def test_a_long_text_is_not_taken_for_a_slow_one() -> None:
    machine = Machine()
    machine.read(tokens=8)
    machine.seconds = 0.02
    assert machine.read(tokens=128) == "together"
    assert machine.read(tokens=128) == "together"


def test_the_first_text_of_a_length_may_be_slow() -> None:
    """Warming up takes long and says nothing of the cores."""
    machine = Machine()
    machine.seconds = 0.5
    machine.read()
    machine.seconds = 0.001
    assert machine.read() == "together"
