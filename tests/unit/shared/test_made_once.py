from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.made_once import made_once

pytestmark = pytest.mark.unit


class Slow:
    """Makes its value at a gate, and counts how often."""

    def __init__(self, gate: threading.Barrier | threading.Event) -> None:
        self.gate = gate
        self.made = 0

    @made_once
    def value(self) -> object:
        """What is made."""
        self.made += 1
        self.gate.wait(5)
        return object()


def test_threads_that_ask_side_by_side_get_the_one_value() -> None:
    gate = threading.Event()
    slow = Slow(gate)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(lambda: slow.value) for _ in range(8)]
        gate.set()
        values = {id(one.result(5)) for one in asked}
    assert len(values) == slow.made == 1
    assert slow.value is slow.value


def test_one_object_does_not_wait_for_another() -> None:
    both = threading.Barrier(2)  # passed only where both are being made at once
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda slow: slow.value, (Slow(both), Slow(both)))
    assert first is not second


def test_what_failed_is_tried_again() -> None:
    class Flaky:
        tries = 0

        @made_once
        def value(self) -> int:
            self.tries += 1
            if self.tries == 1:
                raise OSError("not yet")
            return self.tries

    flaky = Flaky()
    with pytest.raises(OSError, match="not yet"):
        _ = flaky.value
    assert flaky.value == flaky.value == 2


def test_the_class_tells_what_it_is() -> None:
    assert Slow.value.__doc__ == "What is made."
