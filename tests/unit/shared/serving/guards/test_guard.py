"""A request has its time, on a real event loop; and what the answer bears."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from shared.serving.guards.guard import Guard

pytestmark = pytest.mark.unit


class Caller:
    """Sends one request, its body in parts with a pause before each, and keeps what comes."""

    def __init__(self, *, body: tuple[bytes, ...] = (), pause: float = 0.0, **scope: Any) -> None:
        headers = [(b"content-length", str(len(b"".join(body))).encode())] if body else []
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/x",
            "headers": headers,
            "scheme": "http",
            **scope,
        }
        self.parts = list(body) or [b""]
        self.pause = pause
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(self.pause)
        if not self.parts:
            await asyncio.sleep(60)
        part = self.parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts)}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def ask(self, app: Any) -> int:
        asyncio.run(app(self.scope, self.receive, self.send))
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def problem(self) -> dict[str, Any]:
        told = json.loads(self.sent[1]["body"])
        assert isinstance(told, dict)
        return told


class Work:
    """Reads the body and answers after ``seconds``; ``ended`` says how."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.ended = "not"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
            await asyncio.sleep(self.seconds)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})
            self.ended = "done"
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


def test_a_quick_answer_passes_untouched() -> None:
    caller = Caller()
    assert caller.ask(Guard(Work(), request_seconds=1)) == 200
    assert caller.headers == {}
    assert caller.sent[1]["body"] == b"done"


def test_an_answer_that_takes_too_long_is_a_504_and_the_work_ends() -> None:
    counted: list[str] = []
    work, caller = Work(5), Caller()
    assert caller.ask(Guard(work, request_seconds=0.05, counted=counted.append)) == 504
    assert caller.problem["error"] == "took_too_long"
    assert (work.ended, counted, len(caller.sent)) == ("cancelled", ["took_too_long"], 2)


def test_slow_paths_have_more_time() -> None:
    guard = Guard(Work(0.2), request_seconds=0.05, slow_seconds=5, slow=("/promote",))
    assert Caller(path="/v1/models/a/b/promote").ask(guard) == 200
    assert Caller(path="/v1/promote/x").ask(guard) == 504


def test_a_body_that_drips_is_a_408_and_the_connection_closes() -> None:
    caller = Caller(body=(b"a",) * 100, pause=0.02)
    guard = Guard(Work(), request_seconds=5, upload_seconds=0.1)
    assert caller.ask(guard) == 408
    assert caller.problem["error"] == "body_too_slow"
    assert caller.headers[b"connection"] == b"close"


def test_a_body_in_time_does_not_shorten_the_answer() -> None:
    guard = Guard(Work(0.2), request_seconds=5, upload_seconds=0.1)
    assert Caller(body=(b"a", b"b")).ask(guard) == 200


def test_work_in_a_thread_is_answered_for_though_it_cannot_be_stopped() -> None:
    import threading

    release = threading.Event()

    async def blocking(scope: Any, receive: Any, send: Any) -> None:
        import anyio.to_thread

        await anyio.to_thread.run_sync(release.wait, 10)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    caller = Caller()

    async def send(message: Any) -> None:
        caller.sent.append(message)
        if message["type"] == "http.response.body":
            release.set()  # the refusal is out before the thread has ended

    async def run() -> None:
        await Guard(blocking, request_seconds=0.05)(caller.scope, caller.receive, send)

    asyncio.run(run())
    assert [message.get("status") for message in caller.sent] == [504, None]


def test_an_answer_that_is_never_taken_is_broken_off() -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(60)

    caller = Caller()
    with pytest.raises(asyncio.CancelledError):
        caller.ask(Guard(endless, request_seconds=0.05))


def test_tls_is_asked_for_where_tls_is_spoken() -> None:
    plain, secure = Caller(), Caller(scheme="https")
    for caller in (plain, secure):
        assert caller.ask(Guard(Work())) == 200
    assert b"strict-transport-security" not in plain.headers
    assert secure.headers[b"strict-transport-security"].startswith(b"max-age=")
