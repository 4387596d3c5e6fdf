"""A catalogue in both databases, and those who follow it by its change number."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from apps.recommend.items.store import ItemStore, UpsertCounts
from shared.catalogue import CatalogueItem
from shared.errors import DataError, SettingsError
from shared.storage.engine import reading
from shared.storage.recommend_tables import catalogue_items

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

LAMP = CatalogueItem(
    "lamp",
    "Brass lamp",
    "Gives a warm light.",
    "Lighting",
    39.9,
    attributes={"colour": ["brass", "black"], "watts": 40, "dimmable": True},
)
MUG = CatalogueItem("mug", "Enamel mug 🫖")


@pytest.fixture
def store(engine: Engine) -> ItemStore:
    return ItemStore(engine, "default")


def test_an_item_comes_back_as_it_went_in(store: ItemStore) -> None:
    assert store.upsert([LAMP, MUG], NOW) == UpsertCounts(2, 0, 0)
    assert store.get("lamp") == LAMP
    assert store.get("mug") == MUG
    assert store.get("vase") is None
    assert store.count() == 2
    assert list(store.all()) == [LAMP, MUG]


def test_what_differs_is_changed_and_the_rest_left_alone(store: ItemStore) -> None:
    changes: list[dict[str, Any]] = [
        {"title": "Brass lamp, large"},
        {"text": ""},
        {"category": None},
        {"price": None},
        {"price": 40},
        {"available": False},
        {"attributes": {"watts": 60}},
    ]
    store.upsert([LAMP, MUG], NOW)
    for changed in changes:
        wanted, seen = replace(LAMP, **changed), store.change()
        assert store.upsert([wanted, MUG], LATER) == UpsertCounts(0, 1, 1), changed
        assert store.changes_since(seen).items == (wanted,)
        assert store.get("lamp") == wanted


def test_saying_the_same_again_tells_followers_nothing(store: ItemStore, engine: Engine) -> None:
    store.upsert([LAMP, MUG], NOW)
    seen = store.change()
    assert store.upsert([LAMP, MUG], LATER) == UpsertCounts(0, 0, 2)
    assert store.changes_since(seen).items == ()
    with reading(engine) as connection:
        times = set(connection.scalars(select(catalogue_items.c.updated_at)))
    assert times == {NOW}


def test_of_two_with_one_id_the_last_stays(store: ItemStore) -> None:
    assert store.upsert([LAMP, MUG, replace(LAMP, price=1.0)], NOW) == UpsertCounts(2, 0, 0)
    found = store.get("lamp")
    assert found is not None
    assert found.price == 1.0


def test_a_deleted_item_is_gone_and_can_come_back(store: ItemStore, engine: Engine) -> None:
    store.upsert([LAMP, MUG], NOW)
    seen = store.change()
    assert store.delete(["lamp", "lamp", "vase"], LATER) == 1
    assert store.delete(["lamp"], LATER) == 0
    assert store.get("lamp") is None
    assert (store.count(), list(store.all())) == (1, [MUG])
    changes = store.changes_since(seen)
    assert (changes.items, changes.deleted) == ((), ("lamp",))
    with reading(engine) as connection:
        row = connection.execute(select(catalogue_items).filter_by(id="lamp")).one()
    assert (row.title, row.text, row.category, row.price, row.attributes) == (
        "",
        "",
        None,
        None,
        {},
    )
    seen = store.change()
    assert store.upsert([LAMP], LATER) == UpsertCounts(1, 0, 0)
    changes = store.changes_since(seen)
    assert (changes.items, changes.deleted) == ((LAMP,), ())


def test_one_that_cannot_be_stored_stops_the_call_before_it_writes(store: ItemStore) -> None:
    with pytest.raises(DataError, match="'bad' cannot be stored: a text holds a NUL") as caught:
        store.upsert([LAMP, CatalogueItem("bad", "Bad", "a\x00b")], NOW)
    assert caught.value.details == {"item": "bad"}
    assert store.count() == 0


def test_a_tenant_sees_nothing_of_another(engine: Engine) -> None:
    ours, theirs = ItemStore(engine, "default"), ItemStore(engine, "shop-b")
    ours.upsert([LAMP], NOW)
    theirs.upsert([replace(LAMP, title="Their lamp"), MUG], NOW)
    assert ours.delete(["mug"], NOW) == 0
    assert list(ours.all()) == [LAMP]
    assert theirs.count() == 2
    assert [item.id for item in ours.changes_since(0).items] == ["lamp"]
    seen = ours.change()
    theirs.delete(["lamp"], NOW)
    assert ours.change() == seen
    with pytest.raises(SettingsError):
        ItemStore(engine, "Shop")


def test_ids_stand_in_the_order_of_their_code_points(store: ItemStore) -> None:
    ids = ["b", "a", "Z", "é", "a-1", "a 1", "10", "9", "😀"]
    store.upsert([CatalogueItem(id, "x") for id in ids], NOW)
    assert [item.id for item in store.all()] == sorted(ids)


def test_more_than_a_query_can_name(store: ItemStore) -> None:
    items = [CatalogueItem(f"i{number:05}", "x") for number in range(2_300)]
    store.upsert(items, NOW)
    assert list(store.all()) == items
    assert store.upsert(items, NOW).unchanged == 2_300
    assert store.delete([item.id for item in items], NOW) == 2_300


def test_who_follows_the_number_misses_nothing(engine: Engine) -> None:
    """Writers at once; each finds its own write behind the number that it read after it."""
    missed: list[str] = []
    failures: list[BaseException] = []

    def write(name: str) -> None:
        store, seen = ItemStore(engine, "default"), 0
        try:
            for number in range(12):
                id = f"{name}-{number}"
                store.upsert([CatalogueItem(id, "x")], NOW)
                if id not in {item.id for item in store.changes_since(seen).items}:
                    missed.append(id)
                seen = store.change()
        except BaseException as error:
            failures.append(error)

    follower, known, seen = ItemStore(engine, "default"), set[str](), 0
    threads = [threading.Thread(target=write, args=[name]) for name in "abc"]
    for thread in threads:
        thread.start()
    while True:
        alive = any(thread.is_alive() for thread in threads)
        changes = follower.changes_since(seen)
        seen = changes.change
        known |= {item.id for item in changes.items}
        if not alive:
            break
    for thread in threads:
        thread.join()
    assert failures == []
    assert missed == []
    assert known == {item.id for item in follower.all()}
    assert len(known) == 36
