"""The main path in a browser: answered, clarified, handed over, taken over, learned from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from shared.client import TriptychClient

pytestmark = pytest.mark.browser

PhotographOf = Callable[[Page], Callable[[str], None]]


def say(page: Page, text: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(text)
    box.press("Enter")
    expect(page.get_by_test_id("stChatMessage").filter(has_text=text).first).to_be_visible()


def go(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()


def turn(page: Page, number: int):
    return page.get_by_test_id("stChatMessage").nth(number)


def sign(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Your name").press("Enter")


def test_the_start_page_leads_to_the_desk(
    page: Page, pages_url: str, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    expect(page.get_by_text("is ready")).to_be_visible()
    photograph_of(page)("start")
    page.get_by_test_id("stPageLink").filter(has_text="Review queue").click()
    expect(page.get_by_text("Nothing waits for a look")).to_be_visible()


def test_from_a_question_to_a_correction(
    page: Page, pages_url: str, api_url: str, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Chat")

    say(page, "where is my parcel")
    expect(turn(page, 1)).to_contain_text("The tracking page shows where it is.")
    expect(turn(page, 1)).to_contain_text("answered")
    expect(turn(page, 1)).to_contain_text("% sure")

    say(page, "parcel")
    expect(turn(page, 3)).to_contain_text("asked back")
    photograph_of(page)("support-chat")
    page.get_by_role("button", name="Change address").click()
    expect(turn(page, 5)).to_contain_text("Change the address in your account.")

    say(page, "write me a poem")
    expect(page.get_by_text("A person was called")).to_be_visible()
    photograph_of(page)("support-handover")

    desk = page.context.new_page()
    desk.goto(pages_url)
    go(desk, "Waiting chats")
    sign(desk, "Ada")
    desk.get_by_role("button", name="Open").click()
    expect(turn(desk, 6)).to_contain_text("write me a poem")
    desk.get_by_role("button", name="Take over").click()
    say(desk, "Roses are red, parcels are brown.")
    photograph_of(desk)("support-person")

    expect(page.get_by_text("Roses are red")).to_be_visible()
    expect(page.get_by_text("Ada answers")).to_be_visible()
    say(page, "thank you")
    expect(desk.get_by_text("thank you", exact=True)).to_be_visible()
    with TriptychClient(api_url) as client:
        (conversation,) = client.conversations()
        assert (conversation.owner, conversation.person) == ("person", "Ada")
    desk.get_by_role("button", name="Give back to the bot").click()
    expect(desk.get_by_text("the bot answers")).to_be_visible()
    expect(page.get_by_text("the bot answers")).to_be_visible()
    say(page, "refund")
    expect(page.get_by_text("Refunds take five days.")).to_be_visible()

    go(desk, "Review queue")
    expect(desk.get_by_label("Your name")).to_have_value("Ada")
    with TriptychClient(api_url) as client:
        waiting = client.review_queue()
    photograph_of(desk)("support-review")
    desk.get_by_label("It is another intent").click()
    desk.get_by_role("option", name="Refund").click()
    desk.get_by_role("button", name="Correct").click()
    expect(desk.get_by_text("Saved as Refund")).to_be_visible()
    with TriptychClient(api_url) as client:
        assert client.review_queue().total == waiting.total - 1


def test_the_model_page_shows_the_report_and_switches(
    page: Page, pages_url: str, api_url: str, photograph_of: PhotographOf
) -> None:
    with TriptychClient(api_url) as client:
        newer, older = client.models("support")
    assert older.in_use
    page.goto(pages_url)
    go(page, "Model")
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("93.1 %")
    photograph_of(page)("support-model")
    page.get_by_role("tab", name="Report").click()
    report = page.frame_locator("iframe").first
    expect(report.get_by_role("heading", name="Support desk of a shop")).to_be_visible()
    expect(report.locator("svg").first).to_be_visible()
    photograph_of(page)("support-model-report")

    page.get_by_label("Version", exact=True).click()
    page.get_by_role("option").filter(has_text=newer.version).click()
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("93.8 %")
    page.get_by_role("tab", name="Versions and switch").click()
    sign(page, "Ada")
    force = page.get_by_text("Even if the gate finds it worse")
    expect(force).to_have_count(1)  # while the page runs again, the old one stands too
    force.click()
    put_in_use = page.get_by_role("button", name="Put this version in use", disabled=False)
    expect(put_in_use).to_have_count(1)  # while the page runs again, the old one stands too
    put_in_use.click()
    expect(page.get_by_text(f"{newer.version} is in use now")).to_be_visible()
    tab = page.get_by_role("tab", name="Versions and switch")
    expect(tab).to_have_attribute("aria-selected", "true")
    photograph_of(page)("support-model-switch")
    with TriptychClient(api_url) as client:
        assert client.ready().versions == {"support": newer.version}


def test_an_unreadable_upload_is_explained(
    page: Page, pages_url: str, photograph_of: PhotographOf
) -> None:
    page.goto(pages_url)
    go(page, "Data check")
    page.locator("input[type=file]").set_input_files(
        {"name": "shop.csv", "mimeType": "text/csv", "buffer": b"\x00\x01\x02"}
    )
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_test_id("stAlert")).to_contain_text("shop.csv")
    photograph_of(page)("support-data-check-refused")
