"""A caller who leaves is not worked for: what waits in a queue for him is dropped.

ASGI tells of it only to who asks (``http.disconnect``). Most answers come before that is worth a
task, so that a request is watched once it has taken ``GRACE`` seconds since its body came (one
without a body is not). Then a coroutine is
cancelled, and a thread that waits in a batcher is woken with an error; other work in threads ends
by itself. The answer that nobody takes counts as 499, as nginx writes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

GRACE = 0.25
"""Longer than most answers take under load: a task for each costs as much as what it may save."""
_CALLER: ContextVar[Caller | None] = ContextVar("triptych_caller", default=None)


class Caller:
    """Who waits for an answer. ``when_gone`` is called once he has left, in the event loop."""

    def __init__(self) -> None:
        self.gone = False
        self.when_gone: Callable[[], None] | None = None

    def leave(self) -> None:
        """Note that he has left."""
        self.gone = True
        if self.when_gone is not None:
            self.when_gone()


def current_caller() -> Caller | None:
    """Who waits for what is being done, where that is known."""
    return _CALLER.get()


class Disconnects:
    """Wraps the application; see the module. ``grace`` is in seconds."""

    def __init__(self, app: ASGIApp, *, grace: float = GRACE) -> None:
        self.app = app
        self.grace = grace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request as long as its caller is there."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        working = asyncio.current_task()
        caller = Caller()
        answering = left = False
        timer: asyncio.TimerHandle | None = None
        watching: asyncio.Task[None] | None = None

        async def watch() -> None:
            nonlocal left
            while (await receive())["type"] != "http.disconnect":
                pass
            if not answering and working is not None:
                left = True
                caller.leave()
                working.cancel()

        def begin() -> None:
            nonlocal watching
            if not answering:
                watching = loop.create_task(watch())

        async def received() -> Message:
            nonlocal timer
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                timer = timer or loop.call_later(self.grace, begin)
            return message

        async def sent(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        token = _CALLER.set(caller)
        try:
            await self.app(scope, received, sent)
        except asyncio.CancelledError:
            if not left or working is None:
                raise
            working.uncancel()
            await send({"type": "http.response.start", "status": 499, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        finally:
            _CALLER.reset(token)
            if timer is not None:
                timer.cancel()
            if watching is not None:
                watching.cancel()
