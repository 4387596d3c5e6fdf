"""A server that takes its share of the connections to a socket that other processes have, too.

Whoever wakes first takes all that wait: of 32 connections that stay open one of two processes was
seen to hold 23, and its callers waited for it while the other had time. Here a process that holds
more than another looks away for a moment, and the emptier one is the next to look. No connection
waits for long: who was not relieved of it for a while takes it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from shared.serving.connection_counts import ConnectionCounts

LOGGER = logging.getLogger(__name__)

PAUSE_SECONDS = 1e-3
"""How long a process looks away that holds more connections than another."""

MOST_PAUSES = 20
"""So often in a row; then the other is taken to be busy, or dead."""

EXHAUSTED_SECONDS = 1.0
"""How long no connection is taken after one could not be, for want of file descriptors."""


class _WatchedSet(set[Any]):
    """A set that says when it has changed; uvicorn adds connections to it and discards them."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    def add(self, element: Any) -> None:
        super().add(element)
        self._changed()

    def discard(self, element: Any) -> None:
        super().discard(element)
        self._changed()


class SharingServer(uvicorn.Server):
    """``uvicorn.Server`` for sockets that processes share; ``run(sockets=[...])`` as there.

    ``counts`` are what all of them hold.
    """

    _pausing: dict[socket.socket, asyncio.TimerHandle]
    _opening: dict[asyncio.Task[object], asyncio.Protocol]
    _pauses: int

    def __init__(self, config: uvicorn.Config, counts: ConnectionCounts) -> None:
        super().__init__(config)
        self._counts = counts
        self._listens = False
        self.server_state.connections = _WatchedSet(self._tell)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen."""
        self._pausing, self._opening, self._pauses = {}, {}, 0
        await super().startup(sockets=[])  # uvicorn itself is given none to take all from
        self._listens = True
        self._tell()
        for opened in sockets or []:
            opened.setblocking(False)
            self._look(opened)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, end what is in hand, stop the application."""
        loop = asyncio.get_running_loop()
        self._listens = False
        self._counts.leave()
        for opened in sockets or []:
            if (timer := self._pausing.pop(opened, None)) is not None:
                timer.cancel()
            loop.remove_reader(opened)
        # What was taken just now is no connection yet that could be told of the end.
        await asyncio.gather(*self._opening, return_exceptions=True)
        await super().shutdown(sockets)

    def _look(self, opened: socket.socket) -> None:
        self._pausing.pop(opened, None)
        asyncio.get_running_loop().add_reader(opened, self._accept, opened)

    def _look_away(self, opened: socket.socket, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(opened)
        self._pausing[opened] = loop.call_later(seconds, self._look, opened)

    def _accept(self, opened: socket.socket) -> None:
        if self._held > self._counts.fewest_of_others() and self._pauses < MOST_PAUSES:
            self._pauses += 1
            self._look_away(opened, PAUSE_SECONDS)
            return
        self._pauses = 0
        try:
            connection, _ = opened.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # another process was quicker, or the caller has gone
        except OSError:
            LOGGER.exception("a connection could not be taken; the next try is in a second")
            self._look_away(opened, EXHAUSTED_SECONDS)
            return
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = self._protocol()
        task = asyncio.get_running_loop().create_task(self._serve_on(connection, protocol))
        self._opening[task] = protocol
        task.add_done_callback(self._opened)
        self._tell()

    @property
    def _held(self) -> int:
        connections = self.server_state.connections
        # A connection that is open is answered before its task has ended: it counts once.
        return len(connections) + sum(p not in connections for p in self._opening.values())

    def _tell(self) -> None:
        """The others learn what is held; nothing once this process takes no more."""
        if self._listens:
            self._counts.tell(self._held)

    def _opened(self, task: asyncio.Task[object]) -> None:
        del self._opening[task]
        self._tell()

    async def _serve_on(self, connection: socket.socket, protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError:
            connection.close()  # its caller has gone

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made
