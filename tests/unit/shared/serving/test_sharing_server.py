"""Two servers on one socket take their shares of the connections that stay open."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from shared.serving import sharing_server
from shared.serving.connection_counts import ConnectionCounts, counts_file
from shared.serving.guards.request_head import BoundedHead
from shared.serving.sharing_server import MOST_PAUSES, PAUSE_SECONDS, SharingServer

pytestmark = pytest.mark.unit
ASKED = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def _hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def _server(counts: ConnectionCounts) -> SharingServer:
    app = Starlette(routes=[Route("/", _hello)])
    config = uvicorn.Config(app, http=BoundedHead, ws="none", log_config=None, access_log=False)
    return SharingServer(config, counts)


class Running:
    """Servers on one listening socket, each in a thread of its own."""

    def __init__(self, count: int) -> None:
        self.opened = socket.create_server(("127.0.0.1", 0))
        self.file = counts_file(count)
        self.counts = [ConnectionCounts(self.file.fileno(), place) for place in range(count)]
        self.servers = [_server(counts) for counts in self.counts]
        self.clients: list[socket.socket] = []
        self.threads = [
            threading.Thread(target=server.run, args=([self.opened.dup()],), daemon=True)
            for server in self.servers
        ]
        for thread in self.threads:
            thread.start()
        deadline = time.monotonic() + 10
        while not all(server.started for server in self.servers):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def connect(self) -> socket.socket:
        """A client that was answered and stays."""
        client = socket.create_connection(self.opened.getsockname(), timeout=10)
        self.clients.append(client)
        client.sendall(ASKED)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        return client

    def held(self) -> list[int]:
        """How many connections each server has."""
        return [len(server.server_state.connections) for server in self.servers]

    def stop(self) -> None:
        """End them all."""
        for client in self.clients:
            client.close()
        for server in self.servers:
            server.should_exit = True
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()
        self.opened.close()
        for counts in self.counts:
            counts.close()
        self.file.close()


@pytest.fixture
def two() -> Iterator[Running]:
    made = Running(2)
    yield made
    made.stop()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds more waits as long as it takes, also where threads are slow to look."""
    monkeypatch.setattr(sharing_server, "MOST_PAUSES", 10_000)


@pytest.mark.usefixtures("patient")
def test_each_takes_its_share(two: Running) -> None:
    for _ in range(40):
        two.connect()
    assert sorted(two.held()) == [20, 20]


@pytest.mark.usefixtures("patient")
def test_what_one_lost_goes_to_the_one_that_has_less(two: Running) -> None:
    clients = [two.connect() for _ in range(10)]
    for client in clients[::2]:  # they were taken by turns: one server loses all that it had
        client.close()
    deadline = time.monotonic() + 10
    while sum(two.held()) > 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for _ in range(5):
        two.connect()
    assert sorted(two.held()) == [5, 5]


def test_who_has_left_is_not_waited_for(two: Running) -> None:
    for _ in range(4):
        two.connect()
    two.servers[0].should_exit = True
    deadline = time.monotonic() + 10
    while two.held()[0]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    begun = time.monotonic()
    for _ in range(20):
        two.connect()
    assert time.monotonic() - begun < 20 * MOST_PAUSES * PAUSE_SECONDS / 2
    assert two.held()[1] >= 20


def test_who_does_not_look_is_waited_for_a_while_only(two: Running) -> None:
    two.servers[0].should_exit = True  # it leaves, and then says that it is there
    two.threads[0].join(20)
    two.counts[0].tell(0)
    for _ in range(3):
        two.connect()
    assert two.held() == [0, 3]


def test_a_connection_that_was_just_taken_does_not_hold_up_the_end() -> None:
    opened = socket.create_server(("127.0.0.1", 0))
    file = counts_file(1)
    counts = ConnectionCounts(file.fileno(), 0)

    async def ended() -> float:
        server = _server(counts)
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([opened])
        client = socket.create_connection(opened.getsockname(), timeout=10)
        server._accept(opened)
        begun = time.monotonic()
        await server.shutdown([opened])
        client.close()
        return time.monotonic() - begun

    assert asyncio.run(ended()) < 5
    counts.close()
    file.close()
