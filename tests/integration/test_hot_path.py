"""The short way to a route answers as the long way does, and leaves every refusal to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Depends
from fastapi.testclient import TestClient
from pydantic import Field

from shared.api.shapes import Shape, Text
from shared.errors import Overloaded
from shared.serving.guards.auth import require
from shared.serving.hot_path import HotRoute
from tests.fakes.assembled_api import AssembledApi, assemble
from tests.fakes.served_app import FakeServedApp

pytestmark = pytest.mark.integration


class Asked(Shape):
    text: Text
    times: int = Field(default=1, ge=1)


class Answered(Shape):
    text: str
    way: str


class HotApp(FakeServedApp):
    """A route with a short way; each says which it was."""

    def __init__(self) -> None:
        super().__init__()
        router = APIRouter()

        @router.post("/v1/say", dependencies=[Depends(require("use"))])
        async def say(request: Asked) -> Answered:
            return Answered(text=request.text, way="long")

        async def short(request: Asked) -> Answered:
            if request.text == "too much":
                raise Overloaded("too many texts wait", retry_after_seconds=7)
            return Answered(text=request.text, way="short")

        self.router = router
        self.hot_routes = [HotRoute("/v1/say", Asked, short, scope="use")]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> AssembledApi:
    return assemble(Path(tmp_path_factory.mktemp("hot")), served=HotApp())


def say(client: TestClient, content: bytes | str, **headers: str) -> Any:
    sent = {"Content-Type": "application/json", **headers}
    return client.post("/v1/say", content=content, headers=sent)


def test_json_of_the_right_shape_goes_the_short_way(api: AssembledApi) -> None:
    with api.client("use") as client:
        response = say(client, json.dumps({"text": " hé "}))
        assert response.status_code == 200
        assert response.json() == {"text": "hé", "way": "short"}
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-request-id"]
        assert 'route="/v1/say",status="200"' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        ('{"text": ""}', 422, "invalid_request"),
        ('{"text": "a", "more": 1}', 422, "invalid_request"),
        ('{"text": "a", "times": 0}', 422, "invalid_request"),
        ("{", 400, "malformed_request"),
        ("", 422, "invalid_request"),
        ('{"text": "too much"}', 503, "overloaded"),
        (b'{"text": "' + b"a" * 2**20 + b'"}', 413, "body_too_large"),
    ],
)
def test_refusals_are_worded_as_ever(
    api: AssembledApi, content: bytes | str, status: int, error: str
) -> None:
    with api.client("use") as client:
        response = say(client, content)
    assert (response.status_code, response.json()["error"]) == (status, error)
    if status == 503:
        assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("scope", "headers", "status"),
    [
        (None, {}, 401),
        (None, {"Authorization": "Bearer tk_wrong"}, 401),
        (None, {"Authorization": "Basic dGs6dGs="}, 401),
        ("use", {}, 200),
        ("admin", {}, 200),
    ],
)
def test_keys_are_checked_on_the_short_way(
    api: AssembledApi, scope: str | None, headers: dict[str, str], status: int
) -> None:
    with api.client(scope) as client:
        assert say(client, '{"text": "a"}', **headers).status_code == status


def test_a_key_may_come_as_x_api_key(api: AssembledApi) -> None:
    with api.client(None) as client:
        response = say(client, '{"text": "a"}', **{"X-API-Key": api.keys["use"]})
    assert response.json()["way"] == "short"


def test_what_is_not_plain_json_goes_the_long_way(api: AssembledApi) -> None:
    with api.client("use") as client:
        as_utf16 = say(client, '{"text": "a"}'.encode("utf-16"))
        chunked = client.post(
            "/v1/say",
            content=iter([b'{"text"', b': "a"}']),
            headers={"Content-Type": "application/json"},
        )
        other = say(client, '{"text": "a"}', **{"Content-Type": "application/problem+json"})
        assert client.get("/v1/say").status_code == 405
    assert [one.json()["way"] for one in (as_utf16, chunked, other)] == ["long"] * 3
