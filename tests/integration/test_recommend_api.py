"""The recommender over HTTP: real routes and stores, the fake scorer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from apps.api import create_app
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from models.registry import ModelRegistry
from shared.api.calls import ApiError
from shared.client import TriptychClient
from shared.serving.guards.keys import create_key
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.assembled_api import eventually
from tests.fakes.loopback import served
from tests.fakes.recommend_service import (
    EVENTS,
    ITEMS,
    NOW,
    Fitting,
    add_bundle,
    event,
    home,
    make_recommender,
)

pytestmark = pytest.mark.integration


class Shop:
    """A running API over a filled database, and clients of it."""

    def __init__(self, folder: Path) -> None:
        self.settings, self.registry = home(folder)
        self.engine = open_database(self.settings.database)
        ItemStore(self.engine, "default").upsert(ITEMS, NOW)
        EventStore(self.engine, "default").add(EVENTS, NOW)
        self.fitting = Fitting()
        self.url = ""

    def app(self, *, require_keys: bool = False) -> object:
        def make(settings: Settings, engine: Engine, registry: ModelRegistry) -> object:
            return make_recommender(settings, engine, registry, fitting=self.fitting)

        return create_app(self.settings, require_keys=require_keys, served=(make,))

    def key(self, tenant: str, scope: str = "admin") -> str:
        return create_key(
            self.engine, name=tenant, scopes=[scope], actor="test", now=NOW, tenant=tenant
        ).secret


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    add_bundle(made.registry)
    yield made
    made.engine.dispose()


@pytest.fixture
def client(shop: Shop) -> Iterator[TriptychClient]:
    with served(shop.app()) as url, TriptychClient(url) as made:
        assert eventually(lambda: made.ready().status == "ready")
        shop.url = url
        yield made


def ids(answer: object) -> list[str]:
    return [entry.item.id for entry in answer.entries]  # type: ignore[attr-defined]


def test_a_list_is_personal_and_says_why(client: TriptychClient) -> None:
    answer = client.list_for_user("ann", k=3)
    assert ids(answer)[0] == "camera"  # viewed last, and not hidden
    assert "kettle" not in ids(answer)  # bought
    assert "lens" not in ids(answer)  # not available
    assert answer.bundle
    assert answer.events == 3
    for entry in answer.entries:
        assert entry.reasons is not None
        told = sum(one.share for one in entry.reasons.because)
        assert told + entry.reasons.other + entry.reasons.popular == pytest.approx(1)
    because = answer.entries[0].reasons.because[0]
    assert (because.item, because.title, because.type) == ("camera", "Compact camera", "view")


def test_the_next_list_reflects_an_event(client: TriptychClient) -> None:
    before = client.list_for_user("bob", k=8)
    receipt = client.send_event("bob", "tripod", "purchase")
    after = client.list_for_user("bob", k=8)
    assert (receipt.added, receipt.repeated) == (1, 0)
    assert "tripod" in ids(before)
    assert "tripod" not in ids(after)
    assert after.events == before.events + 1


def test_an_event_sent_twice_counts_once_and_bad_lines_are_told(client: TriptychClient) -> None:
    lines = [
        {"id": "e-1", "user": "cid", "item": "mug"},
        {"id": "e-2", "user": "cid", "item": "mug", "type": "rating"},
        {"id": "e-3", "user": "cid", "item": "mug", "type": "glance"},
        {"id": "e-4", "user": "cid", "item": "later"},
    ]
    first, second = client.send_events(lines), client.send_events(lines)
    assert (first.added, first.repeated, first.unknown_items) == (2, 0, 1)
    assert [reject.line for reject in first.rejects] == [1, 2]
    assert "rating" in first.rejects[0].reason
    assert "type" in first.rejects[1].reason
    assert (second.added, second.repeated) == (0, 2)
    assert client.recommend_user("cid").events == 2


def test_a_new_item_is_listed_at_once_with_its_nearest(client: TriptychClient) -> None:
    client.put_item("bag", "Camera bag", text="A bag for a camera", category="Photo", price=30)
    answer = client.list_for_user("ann", k=8)
    (entry,) = [entry for entry in answer.entries if entry.item.id == "bag"]
    assert entry.source == "text"
    assert entry.reasons is not None
    assert entry.reasons.nearest is not None
    assert entry.reasons.nearest.item == "camera"


def test_items_are_changed_read_and_deleted(client: TriptychClient) -> None:
    receipt = client.put_items(
        [
            {"id": "mug", "title": "Enamel mug", "category": "Kitchen", "price": 9.5},
            {"id": "new", "title": ""},
            {"id": "cup", "title": "Cup"},
            {"id": "cup", "title": "Tin cup"},
        ]
    )
    assert (receipt.added, receipt.changed) == (1, 1)
    assert [reject.line for reject in receipt.rejects] == [1, 2]
    assert client.item("mug").price == 9.5
    assert client.item("cup").title == "Tin cup"
    assert [item.id for item in client.items("tin CUP")] == ["cup"]
    client.delete_item("cup")
    with pytest.raises(ApiError) as refused:
        client.item("cup")
    assert refused.value.status == 404
    assert "cup" not in ids(client.list_for_user("ann", k=50))
    assert client.items("cup") == []


def test_filters_hold_and_what_is_missing_is_counted(client: TriptychClient) -> None:
    answer = client.list_for_user(
        "ann", k=5, filters={"categories": ["Photo"], "max_price": 400, "hide": "seen"}
    )
    assert ids(answer) == ["tripod"]
    missing = {one.reason: one.items for one in answer.missing}
    assert missing["category"] == 5
    assert missing["price"] == 1
    assert missing["seen"] == 1
    green = client.list_for_user("bob", filters={"attributes": {"colour": ["green"]}})
    assert ids(green) == ["tent"]


def test_a_price_range_that_is_empty_is_refused(client: TriptychClient) -> None:
    with pytest.raises(ApiError, match="min_price") as refused:
        client.list_for_user("ann", filters={"min_price": 9, "max_price": 3})
    assert refused.value.status == 422


def test_a_disliked_item_is_not_offered_again(client: TriptychClient) -> None:
    client.send_event("bob", "pan", "dislike")
    assert "pan" not in ids(client.list_for_user("bob", k=8))


def test_a_visit_by_items_events_or_session(client: TriptychClient) -> None:
    by_items = client.list_for_session(items=["camera"], k=3)
    by_session = client.list_for_session("s-1", k=3)
    assert ids(by_items) == ids(by_session)
    bought = client.list_for_session(events=[{"item": "camera", "type": "purchase"}], k=8)
    assert "camera" not in ids(bought)
    with pytest.raises(ApiError) as refused:
        client.list_for_session("s-1", items=["camera"])
    assert refused.value.status == 422


def test_neighbours_texts_and_explanations(client: TriptychClient) -> None:
    near = client.similar_items("camera", k=2)
    assert ids(near)[0] == "tripod"
    assert "camera" not in ids(near)
    assert ids(client.similar_items("camera", k=1, available_only=False)) == ["lens"]
    assert set(ids(client.items_for_text("tea", k=2))) == {"kettle", "mug"}
    told = client.explain_item("ann", "tripod")
    assert sum(told.parts.values()) == pytest.approx(told.score, abs=1e-5)
    assert told.reasons.because[0].item == "camera"
    with pytest.raises(ApiError) as refused:
        client.explain_item("ann", "nothing")
    assert refused.value.status == 404


def test_a_user_is_forgotten_at_once(client: TriptychClient) -> None:
    shown = client.list_for_user("ann", k=3)
    assert shown.request_id is not None
    client.send_click(shown.request_id, shown.entries[0].item.id)
    receipt = client.forget_user("ann")
    assert receipt.removed == {"events": 3, "impressions": 1, "clicks": 1}
    assert "ann" not in receipt.model_dump_json()
    assert client.recommend_user("ann").events == 0
    assert [user.id for user in client.recommend_users()] == ["bob"]
    assert client.list_for_user("ann", k=3).events == 0


def test_ids_may_hold_slashes(client: TriptychClient) -> None:
    client.put_item("sku/1 a", "Camping lamp", category="Outdoor")
    assert client.item("sku/1 a").title == "Camping lamp"
    assert client.similar_items("sku/1 a", k=1).item.id == "sku/1 a"
    client.send_event("team/ann", "sku/1 a")
    assert client.recommend_user("team/ann").events == 1
    assert client.list_for_user("team/ann", k=1).events == 1
    assert client.forget_user("team/ann").removed["events"] == 1
    client.delete_item("sku/1 a")


def test_an_experiment_assigns_counts_and_stops(client: TriptychClient) -> None:
    arms = [
        {"name": "as it is", "share": 0.5},
        {"name": "capped", "share": 0.5, "settings": {"category_cap": 1}},
    ]
    made = client.create_experiment("caps", arms, author="ines")
    lists = {user: client.list_for_user(user, k=3) for user in (f"u{n}" for n in range(40))}
    again = {user: client.list_for_user(user, k=3, record=False) for user in lists}
    assert {user: answer.arm for user, answer in lists.items()} == {
        user: answer.arm for user, answer in again.items()
    }
    assert all(answer.request_id is None for answer in again.values())
    for answer in lists.values():
        categories = [entry.item.category for entry in answer.entries]
        if answer.arm == "capped":
            assert len(set(categories)) == len(categories)
    clicked = next(answer for answer in lists.values() if answer.arm == "capped")
    item = clicked.entries[0].item.id
    assert client.send_click(clicked.request_id, item).counted
    assert not client.send_click(clicked.request_id, item).counted
    told = client.experiment_results(made.id)
    assert sum(arm.impressions for arm in told.arms) == 40
    assert [arm.clicks for arm in told.arms] == [0, 1]
    assert client.stop_experiment(made.id, author="ines").state == "stopped"
    assert client.list_for_user("u1", k=3).arm is None
    client.delete_experiment(made.id, author="ines")
    assert client.experiments() == []


def test_a_click_on_what_was_not_shown_is_refused(client: TriptychClient) -> None:
    shown = client.list_for_user("ann", k=1)
    for request_id, item in (("nothing", "mug"), (shown.request_id, "no such item")):
        with pytest.raises(ApiError) as refused:
            client.send_click(str(request_id), item)
        assert refused.value.status == 404


def test_bundles_are_promoted_rolled_back_and_followed(client: TriptychClient, shop: Shop) -> None:
    first = client.bundles().bundles[0].version
    second = add_bundle(shop.registry, day=1, use=False).name
    told = client.promote_bundle(second, author="ines")
    assert (told.version, told.previous) == (second, first)
    assert client.list_for_user("ann").bundle == second
    assert client.rollback_bundle(author="ines").version == first
    assert client.list_for_user("ann").bundle == first
    bundles = client.bundles()
    assert [(one.version, one.in_use) for one in bundles.bundles] == [
        (second, False),
        (first, True),
    ]
    assert [one.version for one in bundles.promotions] == [first, second, first]
    assert client.request_refit(author="ines").state in ("waiting", "running", "idle")


def test_a_bundle_that_does_not_load_leaves_the_one_before(
    client: TriptychClient, shop: Shop
) -> None:
    first = client.list_for_user("ann").bundle
    broken = add_bundle(shop.registry, day=1, use=False).name
    shop.fitting.broken.add(broken)
    client.promote_bundle(broken, author="ines")
    assert client.list_for_user("ann").bundle == first


def test_the_catalogue_at_a_glance_and_in_the_plane(client: TriptychClient) -> None:
    status = client.recommend_status()
    assert (status.items, status.events, status.synthetic) == (8, 4, True)
    assert {one.category: one.items for one in status.categories} == {
        "Photo": 3, "Kitchen": 3, "Outdoor": 2,
    }  # fmt: skip
    drawn = client.catalogue_map()
    assert {point.id for point in drawn.points} == {item.id for item in ITEMS}
    client.delete_item("pan")
    assert "pan" not in {point.id for point in client.catalogue_map().points}
    assert len(client.catalogue_map(limit=3).points) == 3


def test_tenants_without_keys_are_named_and_apart(client: TriptychClient) -> None:
    client.put_items([{"id": "mug", "title": "Another mug"}], tenant="toys")
    client.send_event("ann", "mug", "view", tenant="toys")
    assert client.item("mug").title == "Enamel mug"
    assert client.item("mug", tenant="toys").title == "Another mug"
    answer = client.list_for_user("ann", tenant="toys")
    assert answer.bundle is None
    assert ids(answer) == ["mug"]
    assert client.bundles(tenant="toys").bundles == []
    client.forget_user("ann", tenant="toys")
    assert client.recommend_user("ann").events == 3


def test_a_key_opens_its_own_catalogue_only(shop: Shop) -> None:
    own, other = shop.key("default"), shop.key("toys")
    with served(shop.app(require_keys=True)) as url:
        with TriptychClient(url, own) as client:
            assert eventually(lambda: client.ready().status == "ready")
            assert client.recommend_status().items == 8
            shown = client.list_for_user("ann")
        with TriptychClient(url, other) as client:
            assert client.recommend_status().tenant == "toys"
            assert client.recommend_status().items == 0
            assert client.recommend_user("ann").history == []
            for call in (
                lambda: client.item("mug"),
                lambda: client.models("recommend"),
                lambda: client.send_click(str(shown.request_id), shown.entries[0].item.id),
                lambda: client.model("recommend", str(shown.bundle)),
                lambda: client.recommend_status(tenant="default"),
                lambda: client.rollback_bundle(author="eve"),
                lambda: client.rollback("recommend", author="eve"),
            ):
                with pytest.raises(ApiError) as refused:
                    call()
                assert refused.value.status in (403, 404)


def test_scopes(shop: Shop) -> None:
    key = shop.key("default", "use")
    with TestClient(shop.app(require_keys=True)) as client:  # type: ignore[arg-type]
        client.headers["Authorization"] = f"Bearer {key}"
        assert client.post("/v1/recommend/users/ann/list", json={}).status_code == 200
        assert client.get("/v1/recommend/users/ann").status_code == 403
        assert client.delete("/v1/recommend/users/ann").status_code == 403
        assert client.put("/v1/recommend/items/a", json={"title": "A"}).status_code == 403


def test_another_process_sees_what_was_acknowledged(client: TriptychClient, shop: Shop) -> None:
    with served(shop.app()) as url, TriptychClient(url) as other:
        assert eventually(lambda: other.ready().status == "ready")
        other.list_for_user("ann")
        client.put_item("bag", "Camera bag", text="A bag for a camera")
        client.send_event("ann", "mug", "purchase")
        assert "bag" in ids(other.list_for_user("ann", k=8))
        assert "mug" not in ids(other.list_for_user("ann", k=8))
        client.delete_item("bag")
        assert "bag" not in ids(other.list_for_user("ann", k=8))
        second = add_bundle(shop.registry, day=1, use=False).name
        client.promote_bundle(second, author="ines")
        assert eventually(lambda: other.list_for_user("ann").bundle == second)


def test_late_events_land_where_they_belong(client: TriptychClient, shop: Shop) -> None:
    late = event("ann", "stove", minutes=250)
    client.send_events([{"user": "ann", "item": "stove", "at": late.at}])
    assert [entry.item for entry in client.recommend_user("ann").history] == [
        "camera", "kettle", "stove", "tent",
    ]  # fmt: skip
