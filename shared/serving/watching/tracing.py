"""The outermost layer: an id for every request, security headers, metrics, and a last answer.

An error that no handler knows is logged with the request's id and answered as a Problem (500).
Each request ends in a line of the log, which names its route and neither its path nor its query:
ids of users stand in them. Requests for health and metrics leave no line, unless they fail.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import nullcontext
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.serving.problems import problem_response
from shared.serving.watching.metrics import METHODS, Metrics
from shared.serving.watching.request_context import working_for
from shared.serving.watching.telemetry import Traces

LOGGER = logging.getLogger(__name__)
UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})
"""What machines ask every few seconds: not among the requests in flight, and never traced."""
_NOT_TRACED = nullcontext()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Set on every answer that does not set them itself (OWASP REST Security Cheat Sheet)."""

_ENCODED_HEADERS = [
    (name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()
]


class Tracing:
    """Wraps the whole application; see the module."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, traces: Traces | None = None) -> None:
        self.app = app
        self.metrics = metrics
        self.traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and note how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        counted = scope["path"] not in UNCOUNTED
        trace = (
            self.traces.request(_method(scope), headers)
            if self.traces is not None and counted
            else _NOT_TRACED
        )
        if counted:
            self.metrics.in_flight.inc()
        try:
            with working_for([request_id]), trace as span:
                status = await self._serve(scope, receive, send, request_id, counted)
                if span is not None:
                    _describe(span, scope, status, request_id)
        finally:
            if counted:
                self.metrics.in_flight.dec()

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, request_id: str, counted: bool
    ) -> int:
        """Serve it; the status that it was answered with."""
        status = 0
        began = time.perf_counter()

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                there = {name for name, _ in headers}
                headers.append((b"x-request-id", request_id.encode()))
                headers += [one for one in _ENCODED_HEADERS if one[0] not in there]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, marked)
        except Exception:
            LOGGER.exception("request %s failed: %s %s", request_id, scope["method"], _route(scope))
            self.metrics.problem("internal_error")
            if status:  # the answer has begun: nothing but breaking off is left
                raise
            failure = problem_response(
                500,
                "internal_error",
                f"something failed that should not: the log holds it under {request_id}",
                {"request_id": request_id},
            )
            await failure(scope, receive, marked)
        finally:
            seconds = time.perf_counter() - began
            route, method = _route(scope), _method(scope)
            self.metrics.request(route, method, status, seconds)
            if counted or status >= 500:
                LOGGER.info("%s %s %d in %.1f ms", method, route, status, seconds * 1e3)
        return status


def _describe(span: Any, scope: Scope, status: int, request_id: str) -> None:
    """What became of a request, in the names of OpenTelemetry's conventions for HTTP."""
    route = _route(scope)
    span.update_name(f"{_method(scope)} {route}")
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("triptych.request_id", request_id)
    if status >= 500:
        from opentelemetry.trace import StatusCode

        span.set_status(StatusCode.ERROR)


def _method(scope: Scope) -> str:
    """The method, where HTTP has one of that name: a client cannot make up labels."""
    return scope["method"] if scope["method"] in METHODS else "other"


def _route(scope: Scope) -> str:
    """The template of the route, ``/v1/models/{app}``: one label however many ids there are."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unmatched"
