"""Several API processes on one listening socket, and the supervisor that keeps them alive.

The socket is opened once and inherited by every process, so a connection that waits to be accepted
belongs to none of them: when a process is killed, the others (or its successor) take it. Each
process loads models of its own. A process that ends unasked is started again, at once where it
had lived, else after a wait that doubles. Processes whose supervisor dies end by themselves, since
nobody would start them again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from types import FrameType

from shared.serving.connection_counts import ConnectionCounts, counts_file

LOGGER = logging.getLogger(__name__)

SETTLED_SECONDS = 5.0
"""A process that lived so long is started again at once."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 15.0
GRACE_SECONDS = 15.0
"""How long a stop waits for requests in hand; uvicorn itself gives them 10 s."""
LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Slot:
    """One of the processes, and when it may be started again."""

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_after: float = 0.0
    failures: int = field(default=0)

    def ended(self, now: float) -> None:
        """Note that the process ended unasked at ``now`` (monotonic seconds)."""
        self.failures = 0 if now - self.started >= SETTLED_SECONDS else self.failures + 1
        self.start_after = now + restart_wait(self.failures)
        self.process = None


def restart_wait(failures: int) -> float:
    """Seconds until the next start after so many processes in a row that died young."""
    return 0.0 if failures == 0 else min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (failures - 1))


def worker_command(inherited: Sequence[int], place: int, *, keys: bool) -> list[str]:
    """The command of the process at that place, which inherits the socket, the end of the pipe and
    the file of counts by these numbers."""
    numbers = map(str, (*inherited, place))
    return [sys.executable, "-m", "apps.commands.api_worker", *numbers, "keys" if keys else "open"]


def worker_environment(processes: int, cores: int, given: Mapping[str, str]) -> dict[str, str]:
    """The cores shared out among the processes, where the environment does not say otherwise."""
    threads = str(max(1, cores // processes))
    return {"TRIPTYCH_SERVING_THREADS": threads, "OMP_NUM_THREADS": threads, **given}


class Supervisor:
    """Keeps ``processes`` children alive until it is told to stop. Use it once.

    ``start`` makes the child of a place, from 0: a function, so that tests can hand in processes of
    their own.
    """

    def __init__(
        self,
        processes: int,
        start: Callable[[int], subprocess.Popen[bytes]],
        *,
        grace_seconds: float = GRACE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if processes < 1:
            raise ValueError("at least one process serves")
        self.slots = [Slot() for _ in range(processes)]
        self._start = start
        self._grace = grace_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._stops = 0

    def run(self) -> None:
        """Start the processes, start those again that die, and return when all were stopped."""
        try:
            while not self._stops:
                self.look()
                self._sleep(LOOK_SECONDS)
        finally:
            self._end()

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Let the requests in hand end, then stop; asked a second time: stop now."""
        self._stops += 1

    def look(self) -> None:
        """Notice what ended, and start what is due."""
        for place, slot in enumerate(self.slots):
            now = self._monotonic()
            if slot.process is not None and slot.process.poll() is not None:
                status, number = slot.process.returncode, slot.process.pid
                slot.ended(now)
                wait = slot.start_after - now
                LOGGER.error("process %d ended (%d): again in %.2f s", number, status, wait)
            if slot.process is None and now >= slot.start_after:
                slot.started = now
                slot.process = self._start(place)
                LOGGER.info("process %d started", slot.process.pid)

    def _end(self) -> None:
        running = [slot.process for slot in self.slots if slot.process is not None]
        for process in running:
            process.terminate()
        until = self._monotonic() + self._grace
        while any(process.poll() is None for process in running):
            if self._stops > 1 or self._monotonic() >= until:
                for process in running:
                    process.kill()
                break
            self._sleep(LOOK_SECONDS)
        for process in running:
            process.wait()


def supervise(socket_number: int, processes: int, *, keys: bool, cores: int) -> None:
    """Serve on the listening socket of that number by so many processes, until a signal ends it."""
    os.set_inheritable(socket_number, True)
    alive, held = os.pipe()  # ``held`` closes when this process dies, however it dies
    counts = counts_file(processes)
    environment = worker_environment(processes, cores, os.environ)
    inherited = (socket_number, alive, counts.fileno())

    def start(place: int) -> subprocess.Popen[bytes]:
        with closing(ConnectionCounts(counts.fileno(), place)) as left:
            left.leave()  # who had the place may have been killed
        return subprocess.Popen(
            worker_command(inherited, place, keys=keys),
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=inherited,
        )

    supervisor = Supervisor(processes, start)
    before = [(number, signal.signal(number, supervisor.stop)) for number in _ENDING]
    try:
        supervisor.run()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        os.close(alive)
        os.close(held)
        counts.close()


_ENDING: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
