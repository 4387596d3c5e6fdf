"""A tenant's catalogue in memory: as new as the database, under the bundle that is in use."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from apps.recommend.items.store import ItemStore
from apps.recommend.serving.live import LiveTenant, LiveTenants
from models.recommendation.scoring import ItemScorer
from models.registry import ModelRegistry
from shared.catalogue import CatalogueItem
from shared.errors import SettingsError
from shared.storage.engine import open_database
from tests.fakes.recommend_service import ITEMS, NOW, Fitting, add_bundle

pytestmark = pytest.mark.unit


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_database(f"sqlite:///{tmp_path / 'live.sqlite3'}")
    yield made
    made.dispose()


@pytest.fixture
def store(engine: Engine) -> ItemStore:
    made = ItemStore(engine, "default")
    made.upsert(ITEMS, NOW)
    return made


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


@pytest.fixture
def fitting() -> Fitting:
    return Fitting()


@pytest.fixture
def live(store: ItemStore, registry: ModelRegistry, fitting: Fitting) -> LiveTenant:
    """Not started: nothing follows the registry but ``refresh``."""
    return LiveTenant(
        "default", store, registry, load=fitting.load, unfitted=fitting.without, poll_seconds=60
    )


def test_without_a_bundle_texts_score_and_are_read_once(live: LiveTenant, fitting: Fitting) -> None:
    first, second = live.view(), live.view()
    assert first is second
    assert first.bundle is None
    assert fitting.unfitted == [len(ITEMS)]
    assert set(first.items) == {item.id for item in ITEMS}


def test_what_was_written_is_in_the_next_view(live: LiveTenant, store: ItemStore) -> None:
    before = live.view()
    lamp = CatalogueItem("lamp", "Camping lamp", category="Outdoor")
    store.upsert([lamp, replace(ITEMS[4], price=9.0)], NOW)
    store.delete(["pan"], NOW)
    after = live.view()
    assert after.items["lamp"] == lamp
    assert after.items["mug"].price == 9.0
    assert "pan" not in after.items
    assert not after.arrays.listed[after.arrays.row_of["pan"]]
    assert after.scorer.item_ids == (*before.scorer.item_ids, "lamp")
    assert "lamp" not in before.items  # a view that a request holds does not change


def test_only_what_is_said_anew_is_embedded_anew(live: LiveTenant, store: ItemStore) -> None:
    before = live.view()
    store.upsert([replace(ITEMS[0], price=1.0)], NOW)
    assert live.view().scorer is before.scorer
    store.upsert([replace(ITEMS[0], title="Bread knife")], NOW)
    row = before.arrays.row_of["camera"]
    assert (live.view().scorer.vectors[row] != before.scorer.vectors[row]).any()


def test_an_item_that_comes_back_is_listed_again(live: LiveTenant, store: ItemStore) -> None:
    live.view()
    store.delete(["mug"], NOW)
    assert "mug" not in live.view().items
    store.upsert([ITEMS[4]], NOW)
    view = live.view()
    assert view.arrays.listed[view.arrays.row_of["mug"]]


def test_a_view_is_asked_for_by_change_number(live: LiveTenant, store: ItemStore) -> None:
    old = live.view()
    store.delete(["mug"], NOW)
    assert live.view(old.change) is old
    assert live.view(store.change()) is not old


def test_a_bundle_takes_over_with_what_came_after_it(
    live: LiveTenant, store: ItemStore, registry: ModelRegistry
) -> None:
    assert live.view().bundle is None
    version = add_bundle(registry, items=("camera", "tripod"), change=store.change())
    store.upsert([replace(ITEMS[0], title="Bread knife", text="")], NOW)
    store.delete(["mug"], NOW)
    assert live.refresh()
    view = live.view()
    assert view.bundle == version.name == live.bundle
    assert view.synthetic
    assert view.scorer.item_ids[:2] == ("camera", "tripod")
    assert view.items["camera"].title == "Bread knife"
    assert "mug" not in view.items
    similar = view.scorer.similar(view.arrays.row_of["camera"])
    assert similar[view.arrays.row_of["tripod"]] < 0.5  # a knife by its text, no camera any more


def test_what_changes_while_a_bundle_loads_is_in_its_first_view(
    live: LiveTenant, store: ItemStore, registry: ModelRegistry
) -> None:
    add_bundle(registry)
    live.refresh()
    store.delete(["mug"], NOW)  # before anybody asked
    assert "mug" not in live.view().items


def test_a_bundle_that_does_not_load_leaves_the_one_before(
    live: LiveTenant, registry: ModelRegistry, fitting: Fitting
) -> None:
    first = add_bundle(registry)
    live.refresh()
    fitting.broken.add(add_bundle(registry, day=1).name)
    with pytest.raises(RuntimeError):
        live.refresh()
    assert live.view().bundle == first.name


class SlowFitting(Fitting):
    """Reads no text before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def without(self, items: Sequence[CatalogueItem]) -> ItemScorer:
        assert self.let.wait(10)
        return super().without(items)


def test_a_write_does_not_wait_for_a_catalogue_that_is_not_in_memory(
    engine: Engine, registry: ModelRegistry
) -> None:
    slow = SlowFitting()
    tenants = Tenants(engine, registry, slow)
    store = ItemStore(engine, "toys")
    store.upsert(ITEMS[:1], NOW)
    tenants.live.follow("toys")  # returns, though no text was read yet
    tenants.live.follow("toys")
    assert not slow.unfitted
    slow.let.set()
    assert set(tenants.live.get("toys").view().items) == {ITEMS[0].id}
    assert slow.unfitted == [1]
    store.upsert(ITEMS[1:2], NOW)
    tenants.live.follow("toys")
    assert tenants.live.get("toys").change == store.change()  # this one waited: it costs one text
    tenants.live.stop()


class Tenants:
    """Tenants over one database, with a clock of their own."""

    def __init__(self, engine: Engine, registry: ModelRegistry, fitting: Fitting) -> None:
        self.seconds = 0.0
        self.made: list[str] = []

        def make(tenant: str) -> LiveTenant:
            self.made.append(tenant)
            store = ItemStore(engine, tenant)
            return LiveTenant(tenant, store, registry, load=fitting.load, unfitted=fitting.without)

        self.live = LiveTenants(make, idle_seconds=10, monotonic=lambda: self.seconds)


@pytest.fixture
def tenants(engine: Engine, registry: ModelRegistry, fitting: Fitting) -> Iterator[Tenants]:
    made = Tenants(engine, registry, fitting)
    yield made
    made.live.stop()


def test_a_tenant_is_opened_once(tenants: Tenants) -> None:
    assert tenants.live.get("toys") is tenants.live.get("toys")
    assert tenants.made == ["toys"]


def test_idle_tenants_are_dropped_when_another_is_opened(tenants: Tenants) -> None:
    tenants.live.get("toys")
    tenants.seconds = 8
    tenants.live.get("books")
    tenants.seconds = 12
    tenants.live.get("games")
    assert tenants.live.names() == ["books", "games"]
    tenants.live.get("toys")
    assert tenants.made == ["toys", "books", "games", "toys"]


def test_tenants_have_bundles_and_items_of_their_own(
    tenants: Tenants, store: ItemStore, registry: ModelRegistry
) -> None:
    default, toys = tenants.live.get("default"), tenants.live.get("toys")
    add_bundle(registry, "recommend_toys", items=())
    assert tenants.live.refresh("recommend_toys")
    assert not tenants.live.refresh("recommend_books")
    assert default.view().bundle is None
    assert toys.view().bundle is not None
    assert len(default.view().items) == len(ITEMS)
    assert toys.view().items == {}


def test_a_name_that_is_no_tenant_is_refused(tenants: Tenants) -> None:
    with pytest.raises(SettingsError):
        tenants.live.get("../toys")
    assert tenants.made == []
