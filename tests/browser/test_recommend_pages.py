"""The recommender's pages in a browser: from a user's list to an experiment that ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.loopback import served
from tests.fakes.recommend_api import BUNDLES, FakeRecommendApi
from tests.fakes.recommend_api_routes import routes_of

pytestmark = pytest.mark.browser

PhotographOf = Callable[[Page], Callable[[str], None]]


@pytest.fixture
def fake() -> FakeRecommendApi:
    return FakeRecommendApi(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def api_url(fake: FakeRecommendApi) -> Iterator[str]:
    with served(routes_of(fake)) as url:
        yield url


def go(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()


def sign(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Your name").press("Enter")


def test_a_list_follows_what_its_user_does(
    page: Page, pages_url: str, fake: FakeRecommendApi, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    page.get_by_test_id("stPageLink").filter(has_text="Shop window").click()
    expect(page.get_by_text("Synthetic behaviour")).to_be_visible()
    expect(page.get_by_role("list", name="8 events, newest first")).to_be_visible()
    expect(page.get_by_text("because you viewed Light at Dusk").first).to_be_visible()
    photograph_of(page)("recommend-shop-window")
    page.get_by_text("Act as this user").click()
    buy = page.get_by_role("button", name="Buy")
    expect(buy).to_have_count(10)
    photograph_of(page)("recommend-shop-window-act")
    title = "Memory card, 128 GB"
    card = page.get_by_test_id("stVerticalBlock").filter(has_text=title).filter(has=buy).last
    card.get_by_role("button", name="Buy").click()
    expect(page.get_by_text(f"bought {title}").first).to_be_visible()
    expect(page.get_by_role("list", name="9 events, newest first")).to_be_visible()
    assert fake.done == [("purchase", "card", "mara")]
    assert [item for _, item in fake.clicks] == ["card"]


def test_an_item_leads_to_its_neighbours_and_a_text_to_items(
    page: Page, pages_url: str, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Item neighbours")
    page.get_by_role("combobox", name="Item").fill("coffee")
    page.get_by_role("option", name="Hand coffee grinder").click()
    expect(page.get_by_role("heading", name="Nearest to it")).to_be_visible()
    expect(page.get_by_text("Gooseneck kettle").first).to_be_visible()
    photograph_of(page)("recommend-item-neighbours")
    page.get_by_role("button", name="Its neighbours").first.click()
    page.wait_for_url("**item=kettle**")
    expect(page.get_by_role("combobox", name="Item")).to_have_value("Gooseneck kettle")
    expect(page.get_by_text("Hand coffee grinder")).to_be_visible()  # among the neighbours now
    page.get_by_role("radio", name="Fits a text").click()
    page.get_by_role("textbox", name="Text").fill("warm light for reading")
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.get_by_text("Reading lamp with an arm")).to_be_visible()
    photograph_of(page)("recommend-text")


def test_the_map_leads_from_a_point_to_its_item(
    page: Page, pages_url: str, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Catalogue map")
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    expect(page.get_by_text("Photography (5)")).to_be_visible()
    photograph_of(page)("recommend-catalogue-map")
    page.locator("path[aria-label*='Folding walking poles']").click()
    page.get_by_test_id("stPageLink").filter(has_text="Folding walking poles").click()
    expect(page.get_by_role("heading", name="Nearest to it")).to_be_visible()
    assert "item=poles" in page.url


def test_the_report_shows_accuracy_against_coverage(
    page: Page, pages_url: str, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Offline report")
    expect(page.get_by_role("heading", name="Accuracy against coverage")).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(2)
    photograph_of(page)("recommend-offline-report")


def test_a_bundle_is_put_in_use_and_an_experiment_started(
    page: Page, pages_url: str, fake: FakeRecommendApi, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Bundles and experiments")
    sign(page, "Ada")
    expect(page.get_by_role("button", name="Put in use", disabled=False)).to_be_visible()
    photograph_of(page)("recommend-bundles")
    page.get_by_role("button", name="Put in use", disabled=False).click()
    expect(page.get_by_text(f"{BUNDLES[0]} is in use now")).to_be_visible()
    assert fake.in_use == BUNDLES[0]
    page.get_by_role("button", name="Fit again now", disabled=False).click()
    expect(page.get_by_text("waits for its turn")).to_be_visible()
    fake.refit = fake.refit.model_copy(update={"state": "idle"})
    expect(page.get_by_text("nothing under way")).to_be_visible()

    page.get_by_role("radio", name="Experiments").click()
    expect(page.get_by_text("More variety")).to_be_visible()
    photograph_of(page)("recommend-experiments")
    page.get_by_text("Start an experiment").click()
    page.get_by_label("Name", exact=True).fill("Fewer hits")
    photograph_of(page)("recommend-experiment-form")
    page.get_by_role("button", name="Start it", disabled=False).click()
    expect(page.get_by_text("runs from now on")).to_be_visible()
    assert fake.experiments[0].name == "Fewer hits"
    assert fake.experiments[0].arms[1].settings.diversity == 0.3
