"""The monitor's pages as Streamlit runs them, against an API whose state lies open."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import apps
from tests.fakes.drift_answers import drift_of
from tests.fakes.finance_api import VERSION, FakeFinanceApi
from tests.fakes.finance_api_routes import routes_of
from tests.fakes.finance_stories import Told
from tests.fakes.loopback import served

pytestmark = pytest.mark.unit

HOME = Path(apps.__file__).parent / "home.py"
PAGES = HOME.parent / "finance" / "pages"
Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def served_fake() -> Iterator[tuple[FakeFinanceApi, str]]:
    """One server for all tests here: only its state is new for each."""
    fake = FakeFinanceApi(datetime.now(UTC).replace(microsecond=0))
    with served(routes_of(fake)) as url:
        yield fake, url


@pytest.fixture
def fake(served_fake: tuple[FakeFinanceApi, str]) -> FakeFinanceApi:
    served_fake[0].reset()
    return served_fake[0]


@pytest.fixture
def open_page(
    fake: FakeFinanceApi,
    served_fake: tuple[FakeFinanceApi, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Open:
    monkeypatch.delenv("TRIPTYCH_API_KEY", raising=False)
    monkeypatch.setenv("TRIPTYCH_API_URL", served_fake[1])

    def run(name: str, *, signed: bool = False, **query: str) -> AppTest:
        linked = name == "today"  # it links to other pages: those are known to the entry only
        script = HOME if linked else PAGES / f"{name}.py"
        page = AppTest.from_file(str(script), default_timeout=30)
        page.context = {"timezone": "Europe/Berlin"}
        if signed:
            page.session_state["reader_name"] = "Ada"
        for key, value in query.items():
            page.query_params[key] = value
        page.run()
        if linked:
            page.switch_page(f"finance/pages/{name}.py").run()
        assert not page.exception
        return page

    return run


def button(page: AppTest, label: str, place: int = 0):
    found = [one for one in page.button if one.label == label]
    assert found, f"no button {label!r} among {[one.label for one in page.button]}"
    return found[place]


def words(page: AppTest) -> str:
    """All that stands on the page as text."""
    shown = [page.markdown, page.caption, page.text, page.title, page.subheader]
    shown += [page.error, page.warning, page.info, page.success]
    return "\n".join(one.value for kind in shown for one in kind)


def drawn(page: AppTest) -> str:
    """All cards, as HTML."""
    return "".join(one.value for one in page.html)


# Today


def test_today_shows_mood_movers_bad_news_and_alerts(open_page) -> None:
    page = open_page("today")
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Stories"] == "8"
    assert metrics["Negative"] == "4"
    assert metrics["Alerts"] == "2"
    assert VERSION in words(page)
    assert len(page.get("vega_lite_chart")) == 2
    html = drawn(page)
    assert "halts two North Sea platforms" in html
    assert "Norvik Energy: Mood of a watched company turns bad" in html
    assert html.index("halts two") < html.index("cancels 120 flights")
    assert " UTC" in html


def test_today_without_a_model_says_how_to_get_one(fake, open_page) -> None:
    fake.ready = False
    page = open_page("today")
    assert "triptych train finance" in page.warning[0].value


def test_today_without_stories_says_where_they_come_from(fake, open_page) -> None:
    fake.quiet = True
    fake.alerts = []
    page = open_page("today")
    assert "triptych finance watch" in page.info[0].value
    assert "No alert is open" in page.success[0].value
    assert not page.get("vega_lite_chart")


def test_an_api_with_keys_asks_for_one(fake, open_page) -> None:
    fake.key = "tk_1_good"
    assert "asks for a key" in open_page("today").warning[0].value


# Company


def test_a_company_of_the_address_is_shown(fake, open_page) -> None:
    page = open_page("company", company="calyx")
    assert page.selectbox[0].value == "calyx"
    assert fake.asked[-1]["company"] == "calyx"
    html = drawn(page)
    assert "Rating agency lifts" in html
    assert "Norvik Energy halts" not in html
    assert page.get("vega_lite_chart")


def test_stories_are_filtered_by_label_event_and_words(fake, open_page) -> None:
    page = open_page("company", company="norvik")
    page.selectbox[1].select("negative")
    page.selectbox[2].select("regulator")
    page.text_input[1].set_value("north sea").run()
    asked = fake.asked[-1]
    assert (asked["label"], asked["event"], asked["text"]) == ("negative", "regulator", "north sea")
    assert "halts two" in drawn(page)
    assert "backlog" not in drawn(page)


def test_more_stories_come_page_by_page(fake, open_page) -> None:
    fake.told = [Told(n, f"Norvik Energy note {n}", "neutral", 0.9, (("norvik", "neutral", 0.9),))
                 for n in range(25)]  # fmt: skip
    page = open_page("company", company="norvik")
    assert "note 9" in drawn(page)
    assert "note 12" not in drawn(page)
    button(page, "Show more").click().run()
    assert "note 12" in drawn(page)
    button(page, "Show more").click().run()
    assert "note 24" in drawn(page)
    assert "Show more" not in [one.label for one in page.button]


def test_the_words_that_mattered_are_shown_on_demand(open_page) -> None:
    page = open_page("company", company="norvik")
    assert ">leak</span>" not in drawn(page)
    page.toggle[0].set_value(True).run()
    assert ">leak</span>" in drawn(page)
    assert "“negative”" in words(page)


def test_a_changed_story_shows_what_it_said_before(open_page) -> None:
    page = open_page("company", company="norvik")
    toggle = next(one for one in page.toggle if one.label == "Earlier words")
    toggle.set_value(True).run()
    assert "halts a North Sea platform after a leak" in words(page)


def test_a_wrong_label_is_corrected_toward_the_company(fake, open_page) -> None:
    page = open_page("company", company="norvik")
    assert button(page, "Positive").disabled
    page = open_page("company", signed=True, company="norvik")
    button(page, "Positive").click().run()
    (sent,) = fake.feedback
    assert (sent.label, sent.company, sent.author) == ("positive", "norvik", "Ada")
    assert page.toast


def test_a_company_is_watched_and_unwatched(fake, open_page) -> None:
    page = open_page("company", signed=True, company="brightwater")
    button(page, "Watch").click().run()
    assert "brightwater" in fake.watched
    button(page, "Unwatch").click().run()
    assert "brightwater" not in fake.watched
    assert fake.done == [("unwatch", "brightwater", "Ada")]


# Feeds


def test_feeds_tell_how_they_are(open_page) -> None:
    page = open_page("feed_health")
    assert [metric.value for metric in page.metric] == ["6", "4", "1", "1"]
    html = drawn(page)
    assert "the server answered 503 and asked to wait for 2 hours" in html
    assert "backs off until" in html
    assert "gone for good" in html
    assert "as soon as the watcher comes by" in html
    assert html.index("northmarketpost") < html.index("harbourwire")


def test_a_feed_is_muted_polled_again_and_removed(fake, open_page) -> None:
    page = open_page("feed_health", signed=True)
    page.button(key=f"mute-{fake.feeds[0].id}").click().run()
    assert fake.feeds[0].state == "muted"
    page.button(key=f"mute-{fake.feeds[0].id}").click().run()
    page.button(key=f"remove-{fake.feeds[0].id}").click().run()
    assert [step[0] for step in fake.done] == ["mute", "unmute", "remove"]
    assert {step[2] for step in fake.done} == {"Ada"}


def test_a_feed_is_added_or_refused_with_the_reason(fake, open_page) -> None:
    page = open_page("feed_health", signed=True)
    page.text_input[1].set_value("ftp://wire.test/rss")
    button(page, "Add it").click().run()
    assert "not an http or https address" in page.error[0].value.replace("\\", "")
    page.text_input[1].set_value("https://wire.test/rss")
    page.number_input[0].set_value(30)
    button(page, "Add it").click().run()
    added = fake.feeds[-1]
    assert (added.url, added.interval_seconds) == ("https://wire.test/rss", 1800)
    assert added.added_by == "Ada"


# Rules and alerts


def test_an_alert_is_acknowledged_with_a_note_snoozed_and_closed(fake, open_page) -> None:
    page = open_page("rules_and_alerts", signed=True)
    first = fake.alerts[0].id
    page.text_input(key=f"note-{first}").set_value("known already")
    page.button(key=f"acknowledge-{first}").click().run()
    assert (fake.alerts[0].state, fake.alerts[0].note) == ("acknowledged", "known already")
    page.button(key=f"snooze-{first}-4").click().run()
    until = fake.alerts[0].snoozed_until
    assert until is not None
    assert 3.9 < (until - datetime.now(UTC)).total_seconds() / 3600 <= 4
    page.button(key=f"close-{first}").click().run()
    assert fake.alerts[0].state == "closed"
    assert "closed by Ada" in drawn(page)


def test_nothing_is_done_without_a_name(open_page) -> None:
    page = open_page("rules_and_alerts")
    assert button(page, "Acknowledge").disabled
    assert button(page, "Close").disabled


def test_alerts_are_shown_by_state(open_page) -> None:
    page = open_page("rules_and_alerts")
    page.pills[0].set_value("acknowledged").run()
    assert "Market mood falls fast" in drawn(page)
    assert "Norvik Energy: Mood" not in drawn(page)
    page.pills[0].set_value("closed").run()
    assert "No alert is closed" in page.success[0].value


def test_a_rule_is_turned_off_and_deleted(fake, open_page) -> None:
    page = open_page("rules_and_alerts", signed=True)
    page.segmented_control(key="alerts_view").set_value("Rules").run()
    rule = fake.rules[0].id
    page.button(key=f"switch-{rule}").click().run()
    assert not fake.rules[0].enabled
    page.button(key=f"delete-{rule}").click().run()
    assert rule not in {one.id for one in fake.rules}
    assert fake.done == [("disable", rule, "Ada"), ("delete", rule, "Ada")]


def test_a_rule_is_made(fake, open_page) -> None:
    page = open_page("rules_and_alerts", signed=True)
    page.segmented_control(key="alerts_view").set_value("Make a rule").run()
    page.radio[0].set_value("burst").run()
    page.selectbox[0].select("One sector").run()
    page.selectbox[1].select("Banks")
    page.number_input[0].set_value(8)
    quiet = next(one for one in page.text_input if one.label == "Quiet hours")
    quiet.set_value("22:00-07:00")
    button(page, "Make the rule").click().run()
    rule = fake.rules[0]
    assert (rule.kind, rule.scope, rule.author) == ("burst", "sector:Banks", "Ada")
    assert rule.parameters == {
        "min_stories": 8,
        "min_z": 3.0,
        "within_hours": 3,
        "cooldown_hours": 6.0,
        "quiet_hours": {"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"},
    }
    assert "holds from now on" in page.success[0].value


def test_a_targets_secret_is_shown_once(fake, open_page) -> None:
    page = open_page("rules_and_alerts", signed=True)
    page.segmented_control(key="alerts_view").set_value("Where alerts go").run()
    assert "sent nowhere yet" in page.info[0].value
    address = next(one for one in page.text_input if one.label == "Address")
    address.set_value("https://desk.test/hook")
    button(page, "Add it").click().run()
    assert page.code[0].value == "a-random-secret-of-ours"
    page.run()
    assert not page.code
    assert fake.targets[0].address == "https://desk.test/hook"


# Score a text


def scored(page: AppTest, text: str, companies: str = "") -> AppTest:
    page.text_area[0].set_value(text)
    page.text_input[0].set_value(companies)
    return button(page, "Score").click().run()


def test_texts_are_scored_each_with_companies_and_words(open_page) -> None:
    page = scored(open_page("score"), "Norvik Energy books a loss\n\nAcme rests", "Acme")
    html = drawn(page)
    assert "86 % negative" in html
    assert "74 % neutral" in html
    assert ">loss</span>" in html
    assert VERSION in words(page)


def test_a_label_is_corrected_for_the_company_as_it_stands_in_the_text(fake, open_page) -> None:
    page = scored(open_page("score", signed=True), "Norvik books a loss")
    page.selectbox(key="about-0").select("Norvik Energy").run()
    page.button(key="right-0-neutral").click().run()
    (sent,) = fake.feedback
    assert (sent.text, sent.company, sent.label) == ("Norvik books a loss", "Norvik", "neutral")


def test_without_a_model_the_page_says_so(fake, open_page) -> None:
    fake.ready = False
    page = scored(open_page("score"), "hello")
    assert "no model version is in use" in page.warning[0].value


def test_what_people_wrote_never_becomes_markup(fake, open_page) -> None:
    hostile = "<b>Norvik Energy</b> ![x](http://evil.test/a.png)"
    fake.told = [Told(1, hostile, "negative", 0.9, (("norvik", "negative", 0.9),))]
    fake.feeds[0] = fake.feeds[0].model_copy(
        update={"name": hostile, "last_error": "<b>bad</b>", "failures": 1}
    )
    for page in (
        open_page("today"),
        open_page("company", company="norvik"),
        open_page("feed_health"),
        scored(open_page("score"), hostile),
    ):
        assert "<b>" not in drawn(page)
        assert "![x]" not in words(page)


def test_pages_import_nothing_heavy() -> None:
    """In a fresh process, so that other tests' imports do not count."""
    code = (
        "import sys, json; import apps.finance.page, apps.finance.page_parts.story_cards;"
        "import apps.finance.page_parts.alert_cards, apps.finance.page_parts.index_charts;"
        "import apps.finance.page_parts.rule_form;"
        "print(json.dumps(sorted({'torch','faiss','fastapi','transformers','sqlalchemy'}"
        " & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


# Model


def test_the_model_page_shows_drift(fake, open_page) -> None:
    fake.drift = drift_of("finance", VERSION, fake.now)
    page = open_page("model")
    assert "tell drift" in page.error[0].value
    assert len(page.get("vega_lite_chart")) == 5


def test_the_model_page_says_how_far_stories_are_scored_again(fake, open_page) -> None:
    page = open_page("model")
    assert "380 of 501 stories of the last 7 days" in page.get("progress")[0].proto.text
    assert "triptych finance rescore" in words(page)
    fake.scored_by = [(VERSION, 412, 380)]
    page = open_page("model")
    assert "All stories of the last 7 days" in page.success[0].value
    assert "triptych finance rescore" not in words(page)
    fake.scored_by = []
    assert "No story is scored yet" in words(open_page("model"))


def test_a_story_tells_which_version_scored_it(open_page) -> None:
    assert "model 2026-11-23 cccc" in drawn(open_page("today"))
