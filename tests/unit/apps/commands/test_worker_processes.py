"""The supervisor's decisions, with processes that are numbers and a clock that is moved by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import cast

import pytest

from apps.commands.api_worker import end_with
from apps.commands.worker_processes import (
    LONGEST_WAIT,
    SETTLED_SECONDS,
    Supervisor,
    restart_wait,
    worker_command,
    worker_environment,
)

pytestmark = pytest.mark.unit


class FakeProcess:
    """A process that lives until the test, or a signal, ends it."""

    def __init__(self, number: int, *, deaf: bool = False) -> None:
        self.pid = number
        self.returncode: int | None = None
        self.deaf = deaf

    def poll(self) -> int | None:
        return self.returncode

    def terminate(self) -> None:
        if not self.deaf and self.returncode is None:
            self.returncode = 0

    def kill(self) -> None:
        self.returncode = -signal.SIGKILL

    def wait(self) -> int:
        assert self.returncode is not None, "it would wait for ever"
        return self.returncode


class Room:
    """What the supervisor sees: a clock that ``sleep`` moves, and the processes it started."""

    def __init__(self, processes: int, *, deaf: bool = False) -> None:
        self.now = 0.0
        self.started: list[FakeProcess] = []
        self.places: list[int] = []
        self.deaf = deaf
        self.supervisor = Supervisor(
            processes, self._start, grace_seconds=2.0, monotonic=lambda: self.now, sleep=self._sleep
        )

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        self.places.append(place)
        self.started.append(FakeProcess(len(self.started), deaf=self.deaf))
        return cast("subprocess.Popen[bytes]", self.started[-1])

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def look_at(self, now: float) -> int:
        """Look at that time; how many were started so far."""
        self.now = now
        self.supervisor.look()
        return len(self.started)


def test_a_process_that_had_lived_is_replaced_at_once() -> None:
    room = Room(3)
    assert room.look_at(0.0) == 3
    room.started[1].returncode = -signal.SIGKILL
    assert room.look_at(SETTLED_SECONDS) == 4
    assert room.look_at(SETTLED_SECONDS + 1) == 4
    assert room.places == [0, 1, 2, 1], "it has the place of the one before"


def test_a_process_that_dies_young_is_waited_for_longer_each_time() -> None:
    room = Room(1)
    waits, now = [], 0.0
    for _ in range(10):
        born = room.look_at(now)
        room.started[-1].returncode = 1
        died = now
        while room.look_at(now) == born:
            now += 0.05
        waits.append(now - died)
    assert waits == pytest.approx([restart_wait(n) for n in range(1, 11)], abs=0.11)
    assert waits[-1] == pytest.approx(LONGEST_WAIT, abs=0.11)


def test_after_a_long_life_the_waits_begin_anew() -> None:
    room = Room(1)
    for now in (0.0, 0.3, 1.0):
        room.look_at(now)
        room.started[-1].returncode = 1
        room.supervisor.look()
    assert room.supervisor.slots[0].failures == 3
    room.look_at(30.0)
    room.started[-1].returncode = 1
    room.look_at(60.0)
    assert room.supervisor.slots[0].failures == 0


@pytest.mark.parametrize(("deaf", "ends"), [(False, 0), (True, -signal.SIGKILL)])
def test_a_stop_lets_requests_end_and_kills_what_does_not(deaf: bool, ends: int) -> None:
    room = Room(2, deaf=deaf)
    room.look_at(0.0)
    room.supervisor.stop()
    room.supervisor.run()
    assert [one.returncode for one in room.started] == [ends, ends]
    assert room.now == pytest.approx(2.0 if deaf else 0.0, abs=0.1)


def test_asked_a_second_time_it_stops_now() -> None:
    room = Room(2, deaf=True)
    room.look_at(0.0)
    room.supervisor.stop()
    room.supervisor.stop()
    room.supervisor.run()
    assert room.now < 0.1
    assert {one.returncode for one in room.started} == {-signal.SIGKILL}


def test_nothing_serves_by_no_process() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Room(0)


def test_the_cores_are_shared_out_unless_the_environment_says_otherwise() -> None:
    shared = worker_environment(4, 8, {"PATH": "/bin"})
    assert shared == {"PATH": "/bin", "TRIPTYCH_SERVING_THREADS": "2", "OMP_NUM_THREADS": "2"}
    assert worker_environment(4, 2, {})["OMP_NUM_THREADS"] == "1"
    assert worker_environment(4, 8, {"OMP_NUM_THREADS": "5"})["OMP_NUM_THREADS"] == "5"


def test_a_process_is_told_its_socket_and_whether_to_ask_for_keys() -> None:
    told = ["apps.commands.api_worker", "7", "9", "11", "2", "keys"]
    assert worker_command((7, 9, 11), 2, keys=True)[-6:] == told
    assert worker_command((7, 9, 11), 2, keys=False)[-1] == "open"


def test_a_process_ends_when_its_supervisor_is_gone() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    alive, held = os.pipe()
    try:
        thread = threading.Thread(target=end_with, args=(alive,))
        thread.start()
        time.sleep(0.05)
        assert not came
        os.close(held)
        thread.join(timeout=10)
        deadline = time.monotonic() + 10
        while not came and time.monotonic() < deadline:
            time.sleep(0.01)
        assert came == [signal.SIGTERM]
    finally:
        os.close(alive)
        signal.signal(signal.SIGTERM, before)
