"""What the client sends for the recommender, and what it sends again."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx2
import pytest

from shared.api.calls import ApiError
from shared.client import TriptychClient

pytestmark = pytest.mark.unit


class Server:
    """Answers 503 as often as it is told, then a receipt; keeps what came."""

    def __init__(self, busy: int = 0) -> None:
        self.busy = busy
        self.asked: list[httpx2.Request] = []

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if len(self.asked) <= self.busy:
            return httpx2.Response(503, json={"error": "overloaded", "message": "later"})
        receipt = {"added": 1, "repeated": 0, "unknown_items": 0, "rejects": []}
        return httpx2.Response(200, json=receipt)

    def client(self) -> TriptychClient:
        return TriptychClient(
            "http://shop.test",
            transport=httpx2.MockTransport(self.answer),
            sleep=lambda seconds: None,
        )

    def bodies(self) -> list[object]:
        return [json.loads(request.content) for request in self.asked]


def test_an_event_sent_again_has_the_same_id() -> None:
    server = Server(busy=2)
    with server.client() as client:
        client.send_event("ann", "mug", "purchase")
    first, second, third = server.bodies()
    assert first == second == third
    assert first["events"][0]["id"]  # type: ignore[index]


def test_times_and_tenants_travel() -> None:
    server = Server()
    at = datetime(2026, 11, 24, 9, tzinfo=UTC)
    with server.client() as client:
        client.send_events([{"id": "e", "user": "a", "item": "b", "at": at}], tenant="toys")
    assert server.asked[0].url.params["tenant"] == "toys"
    assert server.bodies() == [
        {"events": [{"id": "e", "user": "a", "item": "b", "at": "2026-11-24T09:00:00+00:00"}]}
    ]


def test_ids_are_quoted() -> None:
    server = Server()
    with server.client() as client, pytest.raises(ApiError, match="something other"):
        client.item("a b/c?d")
    assert server.asked[0].url.raw_path == b"/v1/recommend/items/a%20b%2Fc%3Fd"


def test_what_cannot_be_is_refused_before_it_is_sent() -> None:
    server = Server()
    with server.client() as client:
        for call in (
            lambda: client.list_for_user("ann", k=0),
            lambda: client.list_for_user("ann", diversity=2),
            lambda: client.list_for_user("ann", filters={"colour": "red"}),
            lambda: client.send_event("ann", "mug\n"),
            lambda: client.put_item("mug", "  "),
            lambda: client.put_items([]),
        ):
            with pytest.raises(ApiError) as refused:
                call()
            assert refused.value.status == 422
    assert server.asked == []
