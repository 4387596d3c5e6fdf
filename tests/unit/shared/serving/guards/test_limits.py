from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from shared.serving.guards.limits import BodyLimit, LoopbackOnly, NamedOnce, is_loopback_host

pytestmark = pytest.mark.unit


class Reader:
    """An application that reads the whole body and answers with its size."""

    def __init__(self) -> None:
        self.read = 0
        self.called = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.called = True
        more = True
        while more:
            part = await receive()
            self.read += len(part.get("body", b""))
            more = part.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(self.read).encode()})


def ask(
    app: Any,
    headers: dict[str, str],
    parts: Iterable[bytes] = (b"",),
    path: str = "/",
    query: bytes = b"",
) -> tuple[int, bytes]:
    waiting = list(parts)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query,
        "headers": raw,
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_a_body_within_the_limit_passes() -> None:
    reader = Reader()
    assert ask(BodyLimit(reader, limit=10), {"content-length": "10"}, [b"12345", b"67890"]) == (
        200,
        b"10",
    )


@pytest.mark.parametrize("length", ["11", "9" * 30])
def test_a_stated_length_beyond_the_limit_is_refused_unread(length: str) -> None:
    reader = Reader()
    status, body = ask(BodyLimit(reader, limit=10), {"content-length": length})
    assert status == 413
    assert json.loads(body)["error"] == "body_too_large"
    assert not reader.called


@pytest.mark.parametrize("headers", [{}, {"content-length": "5"}, {"content-length": "²"}])
def test_a_body_is_counted_as_it_arrives(headers: dict[str, str]) -> None:
    reader = Reader()
    with pytest.raises(HTTPException) as caught:
        ask(BodyLimit(reader, limit=10), headers, [b"1234567"] * 1000)
    assert caught.value.status_code == 413
    assert reader.read == 7


def test_a_path_may_have_a_limit_of_its_own() -> None:
    app = BodyLimit(Reader(), limit=10, routes={"/upload": 100})
    assert ask(app, {"content-length": "50"}, [b"x" * 50], "/upload")[0] == 200
    assert ask(app, {"content-length": "50"}, [b"x" * 50], "/other")[0] == 413


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback_host(host) is loopback


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8000"}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "127.0.0.1:8000", "origin": "http://localhost:8501"}, 200),
        ({"host": "127.0.0.1:8000", "origin": "https://evil.example"}, 403),
        ({"host": "127.0.0.1:8000", "origin": "null"}, 403),
        ({"host": "rebound.example:8000"}, 403),
        ({"host": "127.0.0.1@evil.example"}, 403),
        ({"host": "[::1"}, 403),
        ({}, 403),
    ],
)
def test_an_open_server_answers_this_machine_only(headers: dict[str, str], status: int) -> None:
    assert ask(LoopbackOnly(Reader()), headers)[0] == status


@pytest.mark.parametrize("query", [b"", b"limit=3", b"limit=3&actor=ann", b"a=1&b=1&c=&d"])
def test_an_address_that_names_each_parameter_once_passes(query: bytes) -> None:
    assert ask(NamedOnce(Reader()), {}, query=query)[0] == 200


@pytest.mark.parametrize(
    "query",
    [b"limit=3&limit=3", b"limit=&actor=ann&limit=4", b"limit&%6cimit=1", b"limit=%ff&limit"],
)
def test_a_parameter_named_twice_is_refused(query: bytes) -> None:
    reader = Reader()
    status, body = ask(NamedOnce(reader), {}, query=query)
    assert status == 422
    told = json.loads(body)
    assert told["error"] == "invalid_request"
    assert told["details"] == {"repeated": ["limit"]}
    assert "query.limit" in told["message"]
    assert not reader.called
