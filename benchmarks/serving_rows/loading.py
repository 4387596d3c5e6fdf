"""A load generator in one event loop: requests over kept connections, closed or by a clock.

Written out, and not taken from a client library, since on two cores it must leave the processor
to the server: a request is two writes of bytes, an answer is read up to its Content-Length.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

IDLE_SECONDS = 3.0
"""A connection that rested longer is not used again: the server closes them after 5 s."""

Make = Callable[[int], tuple[str, str, object]]
"""From a request's number to its method, path and JSON body."""


@dataclass
class Answers:
    """What came back: seconds of each answer that was right, and the others by kind."""

    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    late: float = 0.0
    """The most that a request was sent behind its moment: the generator's own fault."""

    def percentile(self, share: float) -> float:
        """The seconds that so many of the answers took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Connections:
    """Kept connections to one server; each is used by one request at a time."""

    def __init__(self, host: str, port: int, *, timeout: float = 30.0) -> None:
        self._host = host
        self._port = port
        self._timeout = timeout
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: str, path: str, body: object) -> int:
        """Send a request; the status of its answer. OSError and TimeoutError where none came."""
        content = json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        async with asyncio.timeout(self._timeout):
            reader, writer = await self._connection()
            try:
                writer.write(head.encode() + content)
                status, keep = await self._answer(reader)
            except BaseException:
                writer.close()
                raise
            if keep:
                self._idle.append((time.perf_counter(), reader, writer))
            else:
                writer.close()
            return status

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            rested = time.perf_counter() - since
            if rested < IDLE_SECONDS and not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    @staticmethod
    async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        await reader.readexactly(int(fields.get("content-length", "0")))
        return int(first.split()[1]), fields.get("connection") != "close"

    def close(self) -> None:
        """Close the connections that are idle."""
        for _, _, writer in self._idle:
            writer.close()


async def _one(
    connections: Connections, make: Make, number: int, answers: Answers, started: float
) -> None:
    try:
        status = await connections.ask(*make(number))
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        answers.errors[type(error).__name__] += 1
        return
    if 200 <= status < 300:
        answers.seconds.append(time.perf_counter() - started)
    else:
        answers.errors[str(status)] += 1


async def closed_loop(
    connections: Connections, make: Make, clients: int, seconds: float
) -> Answers:
    """So many clients, each of which sends its next request when it has its answer."""
    answers, ends = Answers(), time.perf_counter() + seconds
    numbers = iter(range(10**9))

    async def client() -> None:
        while time.perf_counter() < ends:
            await _one(connections, make, next(numbers), answers, time.perf_counter())

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


async def open_loop(
    connections: Connections, make: Make, rate: float, seconds: float, chance: random.Random
) -> Answers:
    """Requests at random moments, ``rate`` a second on average, whether or not answers came.

    Arrivals are Poisson, as those of many independent callers are. Seconds of an answer count from
    the moment it was due, so that a server that stands still is charged for all who waited
    (coordinated omission).
    """
    answers, tasks = Answers(), set[asyncio.Task[None]]()
    started = time.perf_counter()
    due, number = started + chance.expovariate(rate), 0
    while due < started + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        answers.late = max(answers.late, time.perf_counter() - due)
        task = asyncio.create_task(_one(connections, make, number, answers, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
        due += chance.expovariate(rate)
    await asyncio.gather(*tasks)
    return answers
