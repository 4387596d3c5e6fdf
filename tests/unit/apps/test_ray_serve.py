"""Replicas take requests when they are warm, and wrong options are refused before Ray is asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apps.ray_serve import ReadyFirst, ReplicaOptions, build
from shared.errors import SettingsError

pytestmark = pytest.mark.unit


class SlowApp:
    """Says 503 to ``/readyz`` so many times; starts at once."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        assert scope["path"] == "/readyz"
        self.asked += 1
        status = 503 if self.asked <= self.refusals else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def started(app: SlowApp, seconds: float) -> list[str]:
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, str]) -> None:
        sent.append(f"{message['type']} after {app.asked}")

    asyncio.run(ReadyFirst(app, seconds)({"type": "lifespan"}, receive, send))
    return sent


def test_a_start_is_complete_when_the_replica_is_ready() -> None:
    assert started(SlowApp(3), 30.0) == ["lifespan.startup.complete after 4"]


def test_a_replica_that_never_is_ready_starts_all_the_same() -> None:
    app = SlowApp(10**9)
    (sent,) = started(app, 0.25)
    assert sent == f"lifespan.startup.complete after {app.asked}"
    assert 2 <= app.asked <= 5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_replica": 3}, "max_replica"),
        ({"min_replicas": 0}, "min_replicas"),
        ({"min_replicas": 5, "max_replicas": 2}, "below"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        build(options)


def test_replicas_follow_requests_in_flight() -> None:
    options = ReplicaOptions()
    assert options.in_flight < options.most_in_flight
    assert options.keys, "callers need keys unless somebody says otherwise"
