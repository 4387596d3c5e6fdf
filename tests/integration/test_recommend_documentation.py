"""``docs/recommend-api.md``: every call of it works as written, and no call is left out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from apps.api import create_app
from tests.fakes.assembled_api import eventually
from tests.fakes.recommend_service import add_bundle, home, make_recommender

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[2] / "docs" / "recommend-api.md"
BLOCK = re.compile(r"```sh\n(curl .*?)```(?:\n\n```json\n(.*?)```)?", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """One ``curl`` of the page and the answer that it shows, if it does."""

    method: str
    path: str
    body: Any
    shown: Any


def calls(names: dict[str, str]) -> Iterator[Call]:
    """The calls in their order; ``names`` holds what the shell's variables stand for by then."""
    for command, shown in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        words = shlex.split(command)[1:]
        method, body, address = "GET", None, ""
        while words:
            word = words.pop(0)
            if word == "-X":
                method = words.pop(0)
            elif word == "-H":
                words.pop(0)
            elif word == "-d":
                body = json.loads(words.pop(0))
            else:
                address = re.sub(r"\$([A-Z]+)", lambda found: names[found[1]], word)
        yield Call(method, address, body, json.loads(shown) if shown else None)


def test_every_call_of_the_page_works_and_every_route_has_one(tmp_path: Path) -> None:
    settings, registry = home(tmp_path)
    names = {"TRIPTYCH": "/v1/recommend"}
    for day in range(2):
        names["VERSION"] = add_bundle(registry, items=(), day=day).name
    registry.rollback("recommend", author="ann", now=registry.get("recommend").created_at)
    asked: list[tuple[str, str]] = []
    app = create_app(settings, require_keys=False, served=(make_recommender,))
    with TestClient(app) as client:
        assert eventually(lambda: client.get("/readyz").status_code == 200)
        for call in calls(names):
            answer = client.request(call.method, call.path, json=call.body)
            assert answer.is_success, (call, answer.text)
            if call.shown is not None:
                assert answer.json() == call.shown
            told = answer.json() if answer.content else {}
            if call.path.endswith("/users/ann/list"):
                shown = client.post("/v1/recommend/users/bob/list", json={}).json()
                names["REQUEST"] = shown["request_id"]
            if call.method == "POST" and call.path.endswith("/experiments"):
                names["EXPERIMENT"] = told["id"]
            asked.append((call.method, call.path.partition("?")[0]))
        routes = {
            (method.upper(), path)
            for path, operations in client.get("/openapi.json").json()["paths"].items()
            for method in operations
            if path.startswith("/v1/recommend")
        }
    left = {
        (method, path)
        for method, path in routes
        if not any(
            method == used and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), at)
            for used, at in asked
        )
    }
    assert left == set()
    assert len(asked) == len(routes)
