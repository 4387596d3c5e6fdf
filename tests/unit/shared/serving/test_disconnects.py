"""A caller who leaves: his place in the queue is free, and nothing is computed for him."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Body, FastAPI
from starlette.types import Message

from shared.serving.batching.micro_batcher import MicroBatcher
from shared.serving.disconnects import Disconnects

pytestmark = pytest.mark.unit


class Held:
    """A model that computes nothing until the gate opens."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()

    def __call__(self, texts: list[str]) -> list[str]:
        self.batches.append(texts)
        assert self.gate.wait(10)
        return texts


@pytest.fixture
def model() -> Iterator[Held]:
    made = Held()
    yield made
    made.gate.set()


def application(batcher: MicroBatcher[str]) -> Disconnects:
    app = FastAPI()

    @app.post("/coroutine")
    async def coroutine(text: Annotated[str, Body()]) -> list[str]:
        return await batcher.submit([text])

    @app.post("/thread")
    def thread(text: Annotated[str, Body()]) -> list[str]:
        return batcher.submit_blocking([text])

    return Disconnects(app, grace=0.01)


class Connection:
    """One request over ASGI; ``close`` is what a client does who leaves."""

    def __init__(self, app: Any, path: str, text: str) -> None:
        self.status: int | None = None
        self._closed = asyncio.Event()
        self._body: bytes | None = json.dumps(text).encode()
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("testserver", 80),
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if (body := self._body) is not None:
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._closed.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]

    def close(self) -> None:
        self._closed.set()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("path", ["/coroutine", "/thread"])
def test_what_waits_for_a_caller_who_left_is_dropped(model: Held, path: str) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> None:
        app = application(batcher)
        first = Connection(app, path, "first")
        await until(lambda: model.batches)
        gone, kept = Connection(app, path, "gone"), Connection(app, path, "kept")
        await until(lambda: batcher.waiting == 2)
        gone.close()
        await gone.task
        assert gone.status == 499
        await until(lambda: batcher.waiting == 1)
        model.gate.set()
        await asyncio.gather(first.task, kept.task)
        assert (first.status, kept.status) == (200, 200)

    with MicroBatcher(model) as batcher:
        asyncio.run(scenario(batcher))
    assert model.batches == [["first"], ["kept"]]


def test_a_cancellation_from_outside_goes_on(model: Held) -> None:
    async def scenario(batcher: MicroBatcher[str]) -> None:
        request = Connection(application(batcher), "/coroutine", "first")
        await until(lambda: model.batches)
        request.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request.task
        model.gate.set()

    with MicroBatcher(model) as batcher:
        asyncio.run(scenario(batcher))
