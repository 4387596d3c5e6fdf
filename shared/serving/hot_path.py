"""A short way to a route that is asked a thousand times a second.

FastAPI's own way resolves every dependency anew and hands each blocking one to a thread: three
times the work of the route itself. A hot route stands before it, checks the key and the body by
the same code, and answers by pydantic's own JSON. What is not plain JSON of the right shape goes
on to FastAPI's route of the same path, which words the refusal; documentation comes from there,
too. docs/serving.md has what it saves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from fastapi import FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Send
from starlette.types import Scope as ConnectionScope

from shared.serving.guards.auth import Authenticator, Principal, require
from shared.serving.guards.keys import Scope

_PASSED_ON = "triptych.hot_path_passed"


@runtime_checkable
class HasHotRoutes(Protocol):
    """A served app with routes that are asked often."""

    @property
    def hot_routes(self) -> Sequence[HotRoute]:
        """Routes that stand before those of the app's router."""
        ...


class HotRoute(BaseRoute):
    """POST ``path`` with JSON of ``shape``, answered by ``answer``, for holders of ``scope``.

    ``answer`` never blocks. Errors that it raises are answered as those of any route.
    """

    def __init__(
        self,
        path: str,
        shape: type[BaseModel],
        answer: Callable[[Any], Awaitable[BaseModel]],
        *,
        scope: Scope,
    ) -> None:
        self.path = path
        self._validate = shape.__pydantic_validator__.validate_json
        self._answer = answer
        self._check = require(scope)

    def matches(self, scope: ConnectionScope) -> tuple[Match, ConnectionScope]:
        """FULL for a POST of JSON whose length is stated, once a request."""
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and self.fits(scope)
            and _PASSED_ON not in scope
            and _is_plain_json(scope["headers"])
        ):
            return Match.FULL, {}
        return Match.NONE, {}

    def fits(self, scope: ConnectionScope) -> bool:
        """Whether the address is this route's."""
        return bool(scope["path"] == self.path)

    async def handle(self, scope: ConnectionScope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on as it came."""
        first = await receive()
        try:
            if first["type"] != "http.request" or first.get("more_body", False):
                raise ValueError("the body is still coming")
            asked = self._validate(first["body"])
        except (ValueError, ValidationError):
            scope[_PASSED_ON] = True
            await scope["app"].router(scope, _after(first, receive), send)
            return
        scope["route"] = self
        answer = await self.answered(scope, asked)
        body = answer.__pydantic_serializer__.to_json(answer)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def answered(self, scope: ConnectionScope, asked: Any) -> BaseModel:
        """The answer to a request whose body is ``asked``, once its key was checked."""
        authenticator = scope["app"].state.authenticator
        assert isinstance(authenticator, Authenticator)
        if authenticator.required:
            await run_in_threadpool(self.admit, scope)
        return await self._answer(asked)

    def admit(self, scope: ConnectionScope) -> Principal:
        """Who asks; it may read the database. Raises as ``require`` does."""
        request = Request(scope)
        scheme, credentials = get_authorization_scheme_param(request.headers.get("authorization"))
        bearer = (
            HTTPAuthorizationCredentials(scheme=scheme, credentials=credentials)
            if credentials and scheme.lower() == "bearer"
            else None
        )
        return self._check(request, bearer, request.headers.get("x-api-key"))


def add_hot_routes(app: FastAPI, routes: Sequence[HotRoute]) -> None:
    """Put hot routes before all others. Their paths have routes of FastAPI's, too."""
    app.router.routes[:0] = routes


def _is_plain_json(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    kind = length = b""
    for name, value in headers:
        if name == b"content-type":
            kind = value
        elif name == b"content-length":
            length = value
    return bool(length) and kind.partition(b";")[0].strip().lower() == b"application/json"


def _after(first: Message, receive: Receive) -> Receive:
    """``receive`` with a message put back before the others."""
    waiting: list[Message] = [first]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received
