"""The short way to a list answers as the long way does, and leaves every refusal to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from apps.api import create_app
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from apps.recommend.serving.hot_list import HotListRoute
from models.registry import ModelRegistry
from shared.serving.guards.keys import create_key
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.recommend_service import (
    EVENTS,
    ITEMS,
    NOW,
    add_bundle,
    event,
    home,
    make_recommender,
)

pytestmark = pytest.mark.integration
BODIES: list[dict[str, Any]] = [
    {"seed": 1},
    {"seed": 1, "k": 3, "diversity": 0.5, "category_cap": 1, "exploration": 0.4},
    {"seed": 1, "explain": False, "filters": {"hide": "seen", "max_price": 9}},
]


class Shop:
    """An application over a filled database; ``short`` are the users whose list took that way."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.settings, registry = home(folder)
        add_bundle(registry)
        self.engine = open_database(self.settings.database)
        ItemStore(self.engine, "default").upsert(ITEMS, NOW)
        odd = [event(user, "camera") for user in ("team/ann", "a/list", "ünï", "two words")]
        EventStore(self.engine, "default").add([*EVENTS, *odd], NOW)
        ItemStore(self.engine, "toys").upsert(ITEMS[:2], NOW)
        self.short: list[str] = []
        way = HotListRoute.answered

        def noted(route: HotListRoute, scope: Any, asked: Any) -> Any:
            self.short.append(route._user(scope))
            return way(route, scope, asked)

        patch.setattr(HotListRoute, "answered", noted)

    def client(self, *, require_keys: bool = False) -> TestClient:
        def make(settings: Settings, engine: Engine, registry: ModelRegistry) -> object:
            return make_recommender(settings, engine, registry)

        app = create_app(self.settings, require_keys=require_keys, served=(make,))
        return TestClient(app, raise_server_exceptions=False)

    def key(self, tenant: str, scope: str) -> dict[str, str]:
        made = create_key(
            self.engine, name=tenant, scopes=[scope], actor="test", now=NOW, tenant=tenant
        )
        return {"X-API-Key": made.secret}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    made = Shop(tmp_path, monkeypatch)
    yield made
    made.engine.dispose()


def asked(client: TestClient, user: str, body: Any, **options: Any) -> Any:
    return client.post(f"/v1/recommend/users/{quote(user)}/list", json=body, **options)


@pytest.mark.parametrize("body", BODIES)
def test_both_ways_answer_alike(shop: Shop, body: dict[str, Any]) -> None:
    users = ["ann", "bob", "nobody", "team/ann", "a/list", "ünï", "two words"]
    with shop.client() as client:
        for user in users:
            short = asked(client, user, {**body, "record": False})
            long = asked(client, user, {**body, "record": False}, params={"tenant": "default"})
            assert (short.status_code, short.json()) == (200, long.json()), user
            assert short.headers["content-type"] == long.headers["content-type"]
        assert shop.short == users
        route = 'route="/v1/recommend/users/{user_id:path}/list",status="200"'
        assert f"{route}}} {2 * len(users)}.0" in client.get("/metrics").text


def test_a_list_that_is_recorded_can_be_clicked(shop: Shop) -> None:
    with shop.client() as client:
        shown = asked(client, "ann", {"k": 2}).json()
        clicked = client.post(
            f"/v1/recommend/impressions/{shown['request_id']}/clicks",
            json={"item": shown["entries"][0]["item"]["id"]},
        )
    assert clicked.json() == {"counted": True}
    assert shop.short == ["ann"]


@pytest.mark.parametrize(
    ("user", "body", "status"),
    [
        ("ann", {"k": 0}, 422),
        ("ann", {"more": 1}, 422),
        ("a\nb", {}, 404),
        ("", {}, 422),
        ("a" * 1000, {}, 422),
        ("ann", {"filters": {"min_price": 9, "max_price": 3}}, 422),
    ],
)
def test_refusals_are_those_of_the_long_way(shop: Shop, user: str, body: Any, status: int) -> None:
    with shop.client() as client:
        short = asked(client, user, body)
        long = asked(client, user, body, params={"tenant": "default"})
    assert short.status_code == long.status_code == status
    assert short.json()["message"] == long.json()["message"]


def test_a_key_opens_its_own_tenant_alone(shop: Shop) -> None:
    with shop.client(require_keys=True) as client:
        toys = asked(client, "ann", {}, headers=shop.key("toys", "use"))
        default = asked(client, "ann", {}, headers=shop.key("default", "use"))
        assert asked(client, "ann", {}).status_code == 401
    assert {one["item"]["id"] for one in toys.json()["entries"]} == {one.id for one in ITEMS[:2]}
    assert toys.json()["events"] == 0
    assert default.json()["events"] > 0


def test_a_server_that_starts_again_makes_lists_again(shop: Shop) -> None:
    client = shop.client()
    for _ in range(2):
        with client:
            assert asked(client, "ann", {}).status_code == 200
