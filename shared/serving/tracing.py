"""The outermost layer: an id for every request, security headers, metrics, and a last answer.

An error that no handler knows is logged with the request's id and answered as a Problem (500).
"""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.serving.metrics import Metrics
from shared.serving.problems import problem_response

LOGGER = logging.getLogger(__name__)
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


class Tracing:
    """Wraps the whole application; see the module."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and note how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0
        began = time.perf_counter()

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
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
            self.metrics.request(_route(scope), scope["method"], status, seconds)


def _route(scope: Scope) -> str:
    """The template of the route, ``/v1/models/{app}``: one label however many ids there are."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unmatched"
