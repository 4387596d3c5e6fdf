"""The recommender's pages on its own routes and stores, which answer as the fake API does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

import apps
from apps.api import create_app
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from models.registry import ModelRegistry
from shared.client import TriptychClient
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.assembled_api import eventually
from tests.fakes.loopback import served
from tests.fakes.recommend_service import EVENTS, ITEMS, NOW, add_bundle, home, make_recommender

pytestmark = pytest.mark.integration

PAGES = Path(apps.__file__).parent / "recommend" / "pages"
Open = Callable[..., AppTest]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """A running API over a filled database with two bundles."""
    settings, registry = home(tmp_path)
    engine = open_database(settings.database)
    ItemStore(engine, "default").upsert(ITEMS, NOW)
    EventStore(engine, "default").add(EVENTS, NOW)
    add_bundle(registry, day=1)
    add_bundle(registry, day=2)

    def make(settings: Settings, engine: Engine, registry: ModelRegistry) -> object:
        return make_recommender(settings, engine, registry)

    with served(create_app(settings, require_keys=False, served=(make,))) as url:
        with TriptychClient(url) as client:
            assert eventually(lambda: client.ready().status == "ready")
        yield url


@pytest.fixture
def open_page(shop: str, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.delenv("TRIPTYCH_API_KEY", raising=False)
    monkeypatch.setenv("TRIPTYCH_API_URL", shop)

    def run(name: str, **query: str) -> AppTest:
        page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=30)
        page.context = {"timezone": "Europe/Berlin"}
        page.session_state["reader_name"] = "Ada"
        for key, value in query.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        assert not page.error
        return page

    return run


def drawn(page: AppTest) -> str:
    return "".join(one.value for one in page.html)


def test_a_list_follows_what_is_done_in_the_window(open_page: Open, shop: str) -> None:
    page = open_page("shop_window", user="ann")
    assert "3 events, newest first" in drawn(page)
    page.toggle[0].set_value(True).run()
    page.button(key="view-tripod").click().run()
    assert not page.error
    assert "4 events, newest first" in drawn(page)
    assert "because you viewed Travel tripod" in drawn(page)
    with TriptychClient(shop) as client:
        assert client.recommend_user("ann").history[0].item == "tripod"


def test_a_visit_that_is_stored_is_listed(open_page: Open) -> None:
    page = open_page("shop_window")
    page.segmented_control[0].set_value("A visit").run()
    visit = next(one for one in page.text_input if one.label == "Or the id of a visit")
    visit.set_value("s-1").run()
    assert not page.error
    assert "because you viewed Compact camera" in drawn(page)


def test_a_user_is_forgotten(open_page: Open, shop: str) -> None:
    page = open_page("shop_window", user="ann")
    next(one for one in page.button if one.label == "Forget now").click().run()
    assert "3 events" in page.success[0].value
    with TriptychClient(shop) as client:
        assert client.recommend_user("ann").history == []


def test_neighbours_map_and_report_are_drawn(open_page: Open) -> None:
    assert "Travel tripod" in drawn(open_page("item_neighbours", item="camera"))
    assert "Kitchen (3)" in drawn(open_page("catalogue_map"))
    report = open_page("offline_report")
    assert {one.label: one.value for one in report.metric}["NDCG@10"] == "0.120"


def test_bundles_and_experiments_are_changed(open_page: Open, shop: str) -> None:
    page = open_page("bundles_and_experiments")
    next(one for one in page.button if one.label == "Put in use").click().run()
    assert not page.error
    with TriptychClient(shop) as client:
        assert [bundle.in_use for bundle in client.bundles().bundles] == [False, True]
        next(one for one in page.button if one.label == "Roll back").click().run()
        assert [bundle.in_use for bundle in client.bundles().bundles] == [True, False]
        next(one for one in page.button if one.label == "Fit again now").click().run()
        assert client.refit_state().state == "waiting"
        page.segmented_control(key="bundles_view").set_value("Experiments").run()
        next(one for one in page.text_input if one.label == "Name").set_value("More variety")
        next(one for one in page.button if one.label == "Start it").click().run()
        (experiment,) = client.experiments()
        assert (experiment.state, experiment.arms[1].settings.diversity) == ("running", 0.3)
        page.button(key=f"stop-{experiment.id}").click().run()
        page.button(key=f"delete-{experiment.id}").click().run()
        assert not page.error
        assert client.experiments() == []
