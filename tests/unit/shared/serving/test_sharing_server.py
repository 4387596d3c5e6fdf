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
from shared.serving.sharing_server import SharingServer

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


def test_who_has_left_is_not_waited_for(two: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        two.connect()
    two.servers[0].should_exit = True
    two.threads[0].join(20)
    looked_away = []
    monkeypatch.setattr(two.servers[1], "_look_away", lambda *given: looked_away.append(given))
    for _ in range(20):
        two.connect()
    assert not looked_away
    assert two.held()[1] >= 20


def test_who_does_not_look_is_waited_for_a_while_only(two: Running) -> None:
    two.servers[0].should_exit = True  # it leaves, and then says that it is there
    two.threads[0].join(20)
    two.counts[0].tell(0)
    for _ in range(3):
        two.connect()
    assert two.held() == [0, 3]


class Alone:
    """A server that is not run: the test takes its steps. ``counts`` is another's sight of it."""

    def __init__(self) -> None:
        self.opened = socket.create_server(("127.0.0.1", 0))
        self.file = counts_file(2)
        self.own, self.counts = (ConnectionCounts(self.file.fileno(), place) for place in range(2))
        self.server = _server(self.own)

    async def startup(self) -> None:
        """Listen, and let no loop take what comes."""
        self.server.config.load()
        self.server.lifespan = self.server.config.lifespan_class(self.server.config)
        await self.server.startup([self.opened])
        asyncio.get_running_loop().remove_reader(self.opened)

    def connect(self) -> socket.socket:
        """A client that has asked and was taken."""
        client = socket.create_connection(self.opened.getsockname(), timeout=10)
        client.sendall(ASKED)
        self.server._accept(self.opened)
        return client

    def close(self) -> None:
        """Let go of what was opened."""
        self.own.close()
        self.counts.close()
        self.file.close()
        self.opened.close()


@pytest.fixture
def alone() -> Iterator[Alone]:
    made = Alone()
    yield made
    made.close()


def test_a_connection_counts_once_at_every_step_of_its_opening(alone: Alone) -> None:
    async def told() -> list[int]:
        await alone.startup()
        seen = [alone.counts.fewest_of_others()]
        with alone.connect() as client:
            for _ in range(30):
                seen.append(alone.counts.fewest_of_others())
                await asyncio.sleep(0)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        await alone.server.shutdown([alone.opened])
        return seen

    assert asyncio.run(told()) == [0, *[1] * 30]


def test_a_connection_that_was_just_taken_does_not_hold_up_the_end(alone: Alone) -> None:
    async def ended() -> float:
        await alone.startup()
        client = alone.connect()
        begun = time.monotonic()
        await alone.server.shutdown([alone.opened])
        client.close()
        return time.monotonic() - begun

    assert asyncio.run(ended()) < 5
