"""The monitor's pages in a browser: from today at a glance to an alert that is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.drift_answers import drift_of
from tests.fakes.finance_api import VERSION, FakeFinanceApi
from tests.fakes.finance_api_routes import routes_of
from tests.fakes.loopback import served

pytestmark = pytest.mark.browser

PhotographOf = Callable[[Page], Callable[[str], None]]


@pytest.fixture
def fake() -> FakeFinanceApi:
    return FakeFinanceApi(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def api_url(fake: FakeFinanceApi) -> Iterator[str]:
    with served(routes_of(fake)) as url:
        yield url


def go(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()


def sign(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Your name").press("Enter")


def test_today_at_a_glance(page: Page, pages_url: str, photograph_of: PhotographOf) -> None:
    page.goto(pages_url)
    page.get_by_test_id("stPageLink").filter(has_text="Today").click()
    expect(page.get_by_role("heading", name="Newest negative stories")).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(2)
    expect(
        page.get_by_test_id("stVegaLiteChart").first.locator("canvas, svg").first
    ).to_be_visible()
    story = page.get_by_text("halts two North Sea platforms").first
    expect(story).to_be_visible()
    moment = page.locator("time").first
    assert " UTC" in (moment.get_attribute("title") or "")
    photograph_of(page)("finance-today")


def test_a_mover_leads_to_its_company_and_its_words(
    page: Page, pages_url: str, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Today")
    page.get_by_test_id("stPageLink").filter(has_text="Norvik Energy").click()
    expect(page.get_by_role("heading", name="Company", exact=True)).to_be_visible()
    assert "company=norvik" in page.url
    link = page.get_by_role("link", name="Ledger Daily").first
    assert link.get_attribute("target") == "_blank"
    assert "noopener" in (link.get_attribute("rel") or "")
    photograph_of(page)("finance-company")
    page.get_by_text("Words that mattered").first.click()
    expect(page.get_by_text("Words for (green)")).to_be_visible()
    photograph_of(page)("finance-company-words")


def test_a_feed_is_added_and_muted(
    page: Page, pages_url: str, fake: FakeFinanceApi, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Feed health")
    expect(page.get_by_text("failed 4 times")).to_be_visible()
    expect(page.get_by_text("backs off until")).to_be_visible()
    sign(page, "Ada")
    photograph_of(page)("finance-feed-health")
    page.get_by_role("button", name="Mute").first.click()
    expect(page.get_by_text("is muted")).to_be_visible()
    assert ("mute", fake.feeds[2].id, "Ada") in fake.done


def test_an_alert_is_closed_and_a_rule_is_made(
    page: Page, pages_url: str, fake: FakeFinanceApi, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Rules and alerts")
    sign(page, "Ada")
    photograph_of(page)("finance-alerts")
    page.get_by_role("button", name="Close", disabled=False).first.click()
    expect(page.get_by_text("closed by Ada")).to_be_visible()
    assert fake.alerts[0].state == "closed"
    page.get_by_role("radio", name="Make a rule").click()
    page.get_by_text("The index falls fast").click()
    expect(page.get_by_label("By at least")).to_be_visible()
    photograph_of(page)("finance-make-rule")
    page.get_by_role("button", name="Make the rule", disabled=False).click()
    expect(page.get_by_text("holds from now on")).to_be_visible()
    assert fake.rules[0].parameters["points"] == 0.4


def test_a_text_is_scored_by_a_model_whose_drift_is_seen(
    page: Page, pages_url: str, fake: FakeFinanceApi, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Score a text")
    page.get_by_role("textbox", name="Texts, one a line").fill(
        "Calyx Semiconductors reports record profit, while Norvik Energy sees a quiet year"
    )
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.get_by_text("Toward").or_(page.get_by_text("Overall: words"))).to_be_visible()
    photograph_of(page)("finance-score")
    fake.drift = drift_of("finance", VERSION, fake.now)
    page.set_viewport_size({"width": 1280, "height": 900})
    go(page, "Sentiment model")
    expect(page.get_by_text("380 of 501 stories of the last 7 days")).to_be_visible()
    expect(page.get_by_text("2 signals of 5 tell drift")).to_be_visible()
    charts = page.get_by_test_id("stVegaLiteChart")
    expect(charts).to_have_count(5)
    expect(charts.last.locator("canvas, svg").first).to_be_visible()
    expect(page.get_by_text("train with a sample in the present mix")).to_be_visible()
    photograph_of(page)("finance-model")
    fake.drift = drift_of("finance", VERSION, fake.now, checks=0)
    page.reload()
    expect(page.get_by_text("37 readings of the 150 that are needed")).to_be_visible()
    photograph_of(page)("finance-model-too-little")
