"""What guards each request over HTTP: how long it may take, and headers that its answer bears.

    the body must have come within ``upload_seconds``   else 408, and the connection is closed
    the answer must begin within ``request_seconds``    else 504, and the work is cancelled
    an answer that has begun has as much time again to be taken; then it is broken off

Work in a thread cannot be cancelled: it ends by itself, and its answer is thrown away. The clocks
are the event loop's own timers: a request that is answered in time costs two of them and no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.serving.problems import problem_response
from shared.storage.audit import acting

STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
"""Sent over TLS (RFC 6797): browsers ask by TLS alone for a year."""

REQUEST_SECONDS = 60.0
SLOW_SECONDS = 900.0
UPLOAD_SECONDS = 120.0


class Guard:
    """Wraps the application; see the module.

    ``slow`` gives the ends of paths whose work takes long (training, promotion) and has
    ``slow_seconds``. ``counted`` is told the kind of each error that is answered here.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        request_seconds: float = REQUEST_SECONDS,
        upload_seconds: float = UPLOAD_SECONDS,
        slow_seconds: float = SLOW_SECONDS,
        slow: tuple[str, ...] = (),
        counted: Callable[[str], None] = lambda error: None,
    ) -> None:
        self.app = app
        self.request_seconds = request_seconds
        self.upload_seconds = upload_seconds
        self.slow_seconds = max(slow_seconds, request_seconds)
        self.slow = slow
        self.counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within its time."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        slow = bool(self.slow) and scope["path"].endswith(self.slow)
        watch = _Watch(scope, receive, send, self.counted)
        watch.wait_for_answer(self.slow_seconds if slow else self.request_seconds)
        if _has_body(scope):
            watch.wait_for_body(self.upload_seconds)
        try:
            with acting():
                await self.app(scope, watch.receive, watch.send)
        except asyncio.CancelledError:
            if not watch.expired:
                raise
            watch.forgive()
        except Exception:
            if not watch.expired:  # else it has been answered already
                raise
        finally:
            watch.stop()
            await watch.answered()


class _Watch:
    """One request and its two clocks."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, counted: Callable[[str], None]
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._counted = counted
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._seconds = 0.0
        self._answer: asyncio.TimerHandle | None = None
        self._body: asyncio.TimerHandle | None = None
        self._refusal: asyncio.Task[None] | None = None
        self._started = False
        self.expired = False

    def wait_for_answer(self, seconds: float) -> None:
        self._seconds = seconds
        self._answer = self._loop.call_later(seconds, self._answer_is_late)

    def wait_for_body(self, seconds: float) -> None:
        self._body = self._loop.call_later(seconds, self._body_is_late, seconds)

    async def receive(self) -> Message:
        if self.expired:
            return {"type": "http.disconnect"}
        part = await self._receive()
        if self._body is not None and not part.get("more_body", False):
            self._body.cancel()
            self._body = None
        return part

    async def send(self, message: Message) -> None:
        if self.expired:
            return  # somebody has been answered already
        if message["type"] == "http.response.start":
            self._started = True
            if headers := self._headers():
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await self._send(message)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        told: Mapping[str, str] = self._scope.get("state", {}).get("rate_limit_headers", {})
        headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
        if self._scope.get("scheme") == "https":
            headers.append(STRICT_TRANSPORT)
        return headers

    def _answer_is_late(self) -> None:
        if self._started:
            self._answer = self._loop.call_later(self._seconds, self._break_off)
            return
        told = f"the answer took longer than {self._seconds:g} s: ask for less, or try again later"
        self._refuse(504, "took_too_long", told, {"seconds": self._seconds})

    def _body_is_late(self, seconds: float) -> None:
        if not self._started:
            told = f"the body did not arrive within {seconds:g} s"
            self._refuse(408, "body_too_slow", told, {"seconds": seconds})

    def _refuse(self, status: int, error: str, told: str, details: dict[str, Any]) -> None:
        if self.expired:
            return
        self.expired = True
        self._counted(error)
        # What is left of a body must not be taken for the next request.
        headers = {"Connection": "close"} if self._body is not None else {}
        answer = problem_response(status, error, told, details, headers)
        self._refusal = self._loop.create_task(answer(self._scope, self._receive, self._send))
        self._break_off()

    def _break_off(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def forgive(self) -> None:
        """The cancellation was ours."""
        if self._task is not None:
            self._task.uncancel()

    async def answered(self) -> None:
        """Wait until a refusal is sent."""
        if self._refusal is not None:
            await self._refusal

    def stop(self) -> None:
        for handle in (self._answer, self._body):
            if handle is not None:
                handle.cancel()


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
        for name, value in scope["headers"]
    )
