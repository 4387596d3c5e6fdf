"""Which web pages of other origins may call the API from a browser: none, unless named.

CORS says what a browser lets a page read (https://fetch.spec.whatwg.org/#http-cors-protocol). Keys
travel in headers and no cookie is used, so credentials are not allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from shared.errors import SettingsError

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SENT = ("Authorization", "Content-Type", "X-API-Key", "X-Request-ID")
SHOWN = (
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Request-ID",
)


def check_origin(text: str) -> str:
    """An origin, such as ``https://shop.example``, as browsers send it.

    Raises SettingsError for what is none; ``*`` and ``null`` are none either: name the pages.
    """
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    host = parts.hostname or ""
    written = f"{parts.scheme}://{parts.netloc}"
    plain = written == text and "@" not in text and port != -1 and not host.startswith("*")
    if parts.scheme not in ("http", "https") or not host or not plain or "*" in host:
        raise SettingsError(
            f"{text[:80]!r} in TRIPTYCH_CORS_ORIGINS is no origin: write https://shop.example or "
            "http://localhost:3000, without a path, several with commas",
            origin=text[:80],
        )
    return text.lower()


def cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """What lets these origins in; nothing where there are none. Raises SettingsError."""
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=[check_origin(origin) for origin in origins],
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=SHOWN,
            max_age=600,
        )
    ]
