"""What a request may not do: send too large a body, name a parameter twice, or reach an open server
from a web page.

All are plain ASGI middleware: they answer before any route runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.serving.problems import problem_response

MEBIBYTE = 1024 * 1024


class BodyLimit:
    """Refuses bodies of more than ``limit`` bytes with 413; ``routes`` names paths with others.

    A stated length is refused at once; a body without one is counted as it arrives.
    """

    def __init__(
        self, app: ASGIApp, *, limit: int = MEBIBYTE, routes: Mapping[str, int] | None = None
    ) -> None:
        self.app = app
        self.limit = limit
        self.routes = dict(routes or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a ``receive`` that counts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.routes.get(scope["path"], self.limit)
        message = f"the body is larger than the {limit:,} bytes that this path takes"
        stated = Headers(scope=scope).get("content-length", "")
        if stated.isascii() and stated.isdigit() and (len(stated) > 18 or int(stated) > limit):
            refusal = problem_response(
                413, "body_too_large", message, {"limit": limit}, {"Connection": "close"}
            )
            await refusal(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            part = await receive()
            if part["type"] == "http.request":
                received += len(part.get("body", b""))
                if received > limit:
                    # FastAPI passes HTTPException through while it reads a body.
                    raise HTTPException(413, message, {"Connection": "close"})
            return part

        await self.app(scope, counted, send)


class NamedOnce:
    """Refuses an address that names a parameter more than once with 422.

    No route takes a list in its address, and which of two values holds is not agreed on: a proxy
    may check the first where the framework reads the last (CWE-235).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 422."""
        query: bytes = scope.get("query_string", b"")
        if b"&" in query:
            pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
            named = Counter(name for name, _value in pairs)
            repeated = sorted(name for name, times in named.items() if times > 1)
            if repeated:
                told = ", ".join(name[:80] for name in repeated[:3])
                refusal = problem_response(
                    422,
                    "invalid_request",
                    f"query.{told}: given more than once; leave one",
                    {"repeated": repeated[:20]},
                )
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


class LoopbackOnly:
    """Guards a server without keys: it answers only what names it by a loopback address.

    A web page in the user's browser can reach 127.0.0.1 too, directly or through a name that
    its own DNS turns to it. The first shows in ``Origin``, the second in ``Host``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            page = origin is not None and not _is_loopback(origin.partition("://")[2])
            if page or not _is_loopback(headers.get("host", "")):
                refusal = problem_response(
                    403,
                    "not_allowed",
                    "this server runs without API keys and answers on localhost only: "
                    "make a key with `triptych keys create` and serve again",
                )
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


@lru_cache(maxsize=256)
def _is_loopback(netloc: str) -> bool:
    try:
        name = urlsplit(f"//{netloc}").hostname
    except ValueError:
        return False
    return is_loopback_host(name or "")


def is_loopback_host(host: str) -> bool:
    """Whether a host name or address means this machine and nothing else."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
