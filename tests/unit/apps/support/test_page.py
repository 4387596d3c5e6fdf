"""The pages as Streamlit runs them, against an API whose state lies open."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import apps
from shared.api.support import CheckFinding, IntentProposal
from shared.monitoring.drift_history import ADVICE
from tests.fakes.drift_answers import drift_of
from tests.fakes.loopback import served
from tests.fakes.support_api import MORNING, VERSIONS, FakeSupportApi
from tests.fakes.support_api_routes import routes_of

pytestmark = pytest.mark.unit

HOME = Path(apps.__file__).parent / "home.py"
Open = Callable[[str], AppTest]


@pytest.fixture(scope="module")
def served_fake() -> Iterator[tuple[FakeSupportApi, str]]:
    """One server for all tests here: only its state is new for each."""
    fake = FakeSupportApi()
    with served(routes_of(fake)) as url:
        yield fake, url


@pytest.fixture
def fake(served_fake: tuple[FakeSupportApi, str]) -> FakeSupportApi:
    served_fake[0].reset()
    return served_fake[0]


@pytest.fixture
def address(
    fake: FakeSupportApi,
    served_fake: tuple[FakeSupportApi, str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    monkeypatch.delenv("TRIPTYCH_API_KEY", raising=False)
    monkeypatch.setenv("TRIPTYCH_API_URL", served_fake[1])
    return served_fake[1]


@pytest.fixture
def open_page(address: str) -> Open:
    def run(name: str) -> AppTest:
        page = AppTest.from_file(str(HOME), default_timeout=30)
        page.context = {"timezone": "Europe/Berlin"}
        page.run()
        page.switch_page(f"support/pages/{name}.py").run()
        assert not page.exception
        return page

    return run


def button(page: AppTest, label: str):
    found = [one for one in page.button if one.label == label]
    assert found, f"no button {label!r} among {[one.label for one in page.button]}"
    return found[0]


def labels(page: AppTest) -> list[str]:
    return [one.label for one in page.button]


def words(page: AppTest) -> str:
    """All that stands on the page as text."""
    shown = [page.markdown, page.caption, page.text, page.title]
    shown += [page.error, page.warning, page.info, page.success]
    return "\n".join(one.value for kind in shown for one in kind)


def drawn(page: AppTest) -> str:
    """All bars and shaded words, as HTML."""
    return "".join(one.value for one in page.html)


def say(page: AppTest, text: str) -> AppTest:
    return page.chat_input[0].set_value(text).run()


def spoken(page: AppTest) -> list[str]:
    return [turn.text[0].value for turn in page.chat_message]


# The start page


def test_the_start_page_says_that_the_api_is_ready_and_what_it_serves(address) -> None:
    page = AppTest.from_file(str(HOME), default_timeout=30).run()
    assert not page.exception
    assert "is ready" in page.success[0].value
    assert f"Model in use: {VERSIONS[1]}" in words(page)


def test_the_start_page_says_which_app_drifts(fake, address) -> None:
    fake.drift = drift_of("support", fake.in_use, MORNING)
    page = AppTest.from_file(str(HOME), default_timeout=30).run()
    assert "see the page Model, under Drift" in page.warning[0].value
    fake.key = "tk_needed"  # /readyz needs none, and the start page goes without the rest
    page = AppTest.from_file(str(HOME), default_timeout=30).run()
    assert not page.warning
    assert "is ready" in page.success[0].value


def test_the_start_page_says_how_to_get_a_model_where_none_is_ready(fake, address) -> None:
    fake.ready = False
    page = AppTest.from_file(str(HOME), default_timeout=30).run()
    assert "triptych train support" in page.warning[0].value
    assert "No model in use" in words(page)


def test_without_an_api_every_page_says_how_to_start_it(monkeypatch) -> None:
    monkeypatch.setenv("TRIPTYCH_API_URL", "http://127.0.0.1:9")
    page = AppTest.from_file(str(HOME), default_timeout=30).run()
    assert "triptych serve" in page.error[0].value
    page.switch_page("support/pages/review.py").run()
    assert "nothing answers at http" in page.error[0].value
    assert not page.exception


def test_an_api_with_keys_asks_for_one_and_takes_it(fake, open_page) -> None:
    fake.key = "tk_1_good"
    page = open_page("model_report")
    assert "asks for a key" in page.warning[0].value
    page.text_input[0].set_value("tk_1_bad")
    button(page, "Use this key").click().run()
    assert "not accepted" in page.warning[0].value
    page.text_input[0].set_value(" tk_1_good ")
    button(page, "Use this key").click().run()
    assert not page.warning
    assert page.metric[0].label == "Accuracy"


# The chat


def test_a_sure_message_is_answered_with_confidence_reason_and_source(open_page) -> None:
    page = say(open_page("chat"), "where is my parcel")
    assert spoken(page) == [
        "where is my parcel",
        "Your parcel is on its way: follow it under My orders.",
    ]
    shown = words(page)
    assert "Order status · 97 % sure" in shown
    assert "Sure enough" in shown
    assert "Answer kept for" in shown


def test_a_close_call_offers_its_options_and_a_click_resolves_it(fake, open_page) -> None:
    page = say(open_page("chat"), "refund for my parcel")
    assert "Order status" in labels(page)
    assert "None of these" in labels(page)
    button(page, "Refund").click().run()
    assert spoken(page)[-2:] == [
        "Refund",
        "Money goes back to you within 5 days, $3 of postage apart.",
    ]
    assert "None of these" not in labels(page)
    assert len(fake.conversations) == 1


def test_an_unsure_message_calls_a_person_and_says_why(open_page) -> None:
    page = say(open_page("chat"), "my cat is sad")
    assert "A person was called" in words(page)
    assert "no intent is likely" in words(page)
    assert "Order status" in drawn(page)
    assert "40 %" in drawn(page)


def test_what_a_person_writes_shows_in_the_chat(fake, open_page) -> None:
    page = say(open_page("chat"), "my cat is sad")
    waiting = fake.only_conversation()
    fake.keep(waiting, owner="person", person="Ada", handover=None)
    fake.say(waiting, "person", "Poor cat!", name="Ada")
    page.run()
    assert spoken(page)[-1] == "Poor cat!"
    assert "Ada answers" in words(page)


def test_a_closed_chat_takes_no_more_words_but_a_new_one_begins(fake, open_page) -> None:
    page = say(open_page("chat"), "where is my parcel")
    fake.keep(fake.only_conversation(), owner="closed")
    page.run()
    assert page.chat_input[0].disabled
    button(page, "New chat").click().run()
    assert not page.chat_input[0].disabled
    say(page, "refund")
    assert len(fake.conversations) == 2


def test_a_message_that_could_not_be_sent_can_be_sent_again(fake, open_page) -> None:
    page = open_page("chat")
    fake.ready = False
    say(page, "where is my parcel")
    assert "still loading" in page.warning[0].value
    fake.ready = True
    page.run()
    assert "Not sent: “where is my parcel”" in words(page)
    button(page, "Send again").click().run()
    assert spoken(page)[0] == "where is my parcel"
    assert "Not sent" not in words(page)


def test_a_chat_that_is_gone_gives_way_to_a_new_one(fake, open_page) -> None:
    page = say(open_page("chat"), "where is my parcel")
    fake.conversations.clear()
    page.run()
    assert "no longer there" in page.info[0].value
    say(page, "refund")
    assert len(fake.conversations) == 1


def test_what_customers_write_never_becomes_markup(fake, open_page) -> None:
    hostile = "![x](http://evil.test/a.png) **bold** <b>cat</b> $x$"
    page = say(open_page("chat"), hostile)
    assert spoken(page)[0] == hostile
    fake.ready = False
    say(page, hostile)
    fake.ready = True
    page.run()
    (line,) = [one.value for one in page.caption if one.value.startswith("Not sent")]
    assert "![x]" not in line
    assert "**bold" not in line
    assert "<b>" not in line


def test_the_explanation_shows_words_and_neighbours(open_page) -> None:
    page = say(open_page("chat"), "where is my parcel")
    assert not page.dataframe
    page.toggle[0].set_value(True).run()
    assert ">parcel</span>" in drawn(page)
    assert page.dataframe[0].value["example"].tolist() == ["has my parcel left"]


# The person's side


def handed_over(fake: FakeSupportApi, open_page: Open) -> AppTest:
    say(open_page("chat"), "my cat is sad")
    return open_page("handover")


def test_a_waiting_chat_is_listed_with_its_reason_and_opens(fake, open_page) -> None:
    page = handed_over(fake, open_page)
    assert "no intent is likely" in words(page)
    button(page, "Open").click().run()
    assert spoken(page) == ["my cat is sad", "A colleague will take over."]
    assert button(page, "Take over").disabled


def test_a_person_takes_over_writes_and_gives_back(fake, open_page) -> None:
    page = handed_over(fake, open_page)
    button(page, "Open").click().run()
    page.text_input(key="reader_name").set_value("Ada").run()
    button(page, "Take over").click().run()
    assert (fake.only_conversation().owner, fake.only_conversation().person) == ("person", "Ada")
    page.chat_input[0].set_value("Poor cat!").run()
    assert spoken(page)[-1] == "Poor cat!"
    assert fake.only_conversation().messages[-1].name == "Ada"
    button(page, "Give back to the bot").click().run()
    assert fake.only_conversation().owner == "bot"
    assert not page.chat_input
    button(page, "All chats").click().run()
    assert "Nobody waits" in page.info[0].value


def test_a_chat_can_be_closed(fake, open_page) -> None:
    page = handed_over(fake, open_page)
    page.text_input(key="reader_name").set_value("Ada").run()
    button(page, "Open").click().run()
    button(page, "Take over").click().run()
    button(page, "Close the chat").click().run()
    assert fake.only_conversation().owner == "closed"


def test_a_chat_that_another_person_took_cannot_be_taken(fake, open_page) -> None:
    page = handed_over(fake, open_page)
    page.text_input(key="reader_name").set_value("Ada").run()
    button(page, "Open").click().run()
    fake.keep(fake.only_conversation(), owner="person", person="Bo")
    button(page, "Take over").click().run()
    assert "Bo has this chat" in page.error[0].value
    assert "Bo has this chat" in page.info[0].value
    assert not page.chat_input


# The review queue


@pytest.fixture
def queued(fake: FakeSupportApi) -> FakeSupportApi:
    fake.put_in_queue("my cat is sad", ("order_status", 0.4), ("refund", 0.3))
    fake.put_in_queue("hello??", ("refund", 0.35), ("order_status", 0.3))
    return fake


def review(open_page: Open) -> AppTest:
    page = open_page("review")
    return page.text_input(key="reader_name").set_value("Ada").run()


def test_nothing_is_reviewed_without_a_name(queued, open_page) -> None:
    page = open_page("review")
    assert button(page, "Right: Order status").disabled
    assert button(page, "Skip").disabled
    assert "2 messages wait" in words(page)


@pytest.mark.parametrize(
    ("label", "intent"),
    [("Right: Order status", "order_status"), ("Out of scope", "out_of_scope"), ("Skip", None)],
)
def test_a_word_on_a_message_is_stored_and_the_next_comes_up(
    queued, open_page, label, intent
) -> None:
    page = review(open_page)
    button(page, label).click().run()
    assert queued.reviewed == [(100, intent, "Ada")]
    assert page.text[0].value == "hello??"
    assert page.toast


def test_another_intent_is_chosen_from_all(queued, open_page) -> None:
    page = review(open_page)
    assert button(page, "Correct").disabled
    page.selectbox[0].select("refund").run()
    button(page, "Correct").click().run()
    assert queued.reviewed == [(100, "refund", "Ada")]


def test_an_empty_queue_says_so(fake, open_page) -> None:
    assert "Nothing waits" in open_page("review").success[0].value


def test_a_proposal_becomes_an_intent(fake, open_page) -> None:
    fake.groups = [
        IntentProposal(
            name="sad_cat", size=4, texts=["sad cat", "cat cries", "poor cat"], cohesion=0.8
        )
    ]
    page = review(open_page)
    page.segmented_control(key="review_view").set_value("Proposed intents").run()
    assert "4 messages, 80 % alike" in words(page)
    button(page, "Make this an intent").click().run()
    page.text_area(key="intent_answer").set_value("Give it a hug.")
    button(page, "Teach it").click().run()
    (taught,) = fake.taught
    assert taught.name == "sad_cat"
    assert taught.examples == ["sad cat", "cat cries", "poor cat"]
    assert "Live after 4.2 s" in page.success[0].value
    assert "Refund lost the most: 0.4 points" in page.success[0].value


def test_too_few_examples_are_refused_before_anything_is_sent(fake, open_page) -> None:
    page = review(open_page)
    page.segmented_control(key="review_view").set_value("Add an intent").run()
    page.text_input(key="intent_name").set_value("Gift wrap")
    page.text_area(key="intent_examples").set_value("wrap it\n\n  \nas a gift")
    button(page, "Teach it").click().run()
    assert "at least three" in page.error[0].value
    assert fake.taught == []


# The model


def test_the_model_page_shows_metrics_charts_and_the_report(open_page) -> None:
    page = open_page("model_report")
    assert [metric.value for metric in page.metric] == ["93.1 %", "83.0 %", "1.4 %", "1.20 %"]
    table = page.dataframe[0].value.set_index("metric")
    assert table.loc["Accuracy", "95 % interval"] == "91.1 % to 95.1 %"
    assert table.loc["Out-of-scope AUROC", "value"] == "0.980"
    assert len(page.get("vega_lite_chart")) == 2
    (frame,) = page.get("iframe")
    assert frame.proto.src.startswith("data:text/html")


def test_a_version_is_promoted_and_rolled_back(fake, open_page) -> None:
    page = open_page("model_report")
    page.text_input(key="reader_name").set_value("Ada")
    page.selectbox(key="model_version").select(VERSIONS[0]).run()
    assert page.dataframe[0].value.set_index("metric").loc["Accuracy", "in use"] == "93.1 %"
    button(page, "Put this version in use").click().run()
    assert fake.promotions == [(VERSIONS[0], "Ada", False)]
    assert f"{VERSIONS[0]} is in use now" in page.success[0].value
    button(page, "Roll back").click().run()
    assert fake.in_use == VERSIONS[1]


def test_the_gate_refuses_until_forced(fake, open_page) -> None:
    fake.worse = {VERSIONS[0]}
    page = open_page("model_report")
    page.text_input(key="reader_name").set_value("Ada")
    page.selectbox(key="model_version").select(VERSIONS[0]).run()
    button(page, "Put this version in use").click().run()
    assert "2\\.1 points worse on the gate split" in page.error[0].value
    assert fake.in_use == VERSIONS[1]
    page.checkbox[0].check().run()
    button(page, "Put this version in use").click().run()
    assert fake.promotions == [(VERSIONS[0], "Ada", True)]
    assert "by force" in page.success[0].value


def test_a_version_that_may_answer_nothing_says_so(fake, open_page) -> None:
    assert not open_page("model_report").warning
    fake.certified = False
    assert "answers nothing itself" in open_page("model_report").warning[0].value


def test_without_a_version_the_page_says_how_to_train_one(fake, open_page) -> None:
    fake.accuracies = {}
    page = open_page("model_report")
    assert "triptych train support" in page.info[0].value


# The data check


def checked(page: AppTest, content: bytes = b"text,intent\na,b\nc,d\n") -> AppTest:
    page.file_uploader[0].set_value(("shop.csv", content, "text/csv")).run()
    return button(page, "Check").click().run()


def test_a_file_is_checked_and_its_findings_are_grouped(fake, open_page) -> None:
    fake.findings = [
        CheckFinding(kind="tiny_class", severity="info", message="refund has 3 examples", rows=[2]),
        CheckFinding(
            kind="likely_wrong_label",
            severity="warning",
            message="looks like refund",
            rows=[1],
            details={"given": "order_status", "probability": 0.12345},
        ),
        CheckFinding(kind="likely_wrong_label", severity="warning", message="and this", rows=[2]),
    ]
    page = open_page("data_check")
    page.text_input[1].set_value("intent").run()
    checked(page)
    assert fake.checked == [("shop.csv", b"text,intent\na,b\nc,d\n", None, "intent")]
    groups = [one.label for one in page.expander if one.label != "Columns"]
    assert [label.split("] ")[1] for label in groups] == [
        "**Likely wrong label** · 2",
        "**Tiny class** · 1",
    ]
    assert page.dataframe[0].value["probability"].iloc[0] == 0.123
    assert [metric.value for metric in page.metric] == ["2", "0", "2", "2"]
    assert [one.label for one in page.get("download_button")] == [
        "Findings as CSV",
        "Report as JSON",
    ]


def test_remarks_can_be_put_aside(fake, open_page) -> None:
    fake.findings = [
        CheckFinding(kind="tiny_class", severity="info", message="refund has 3 examples", rows=[2])
    ]
    page = checked(open_page("data_check"))
    page.pills[0].set_value(["warning"]).run()
    assert [one.label for one in page.expander] == ["Columns"]


def test_a_file_that_cannot_be_read_is_named_an_error(open_page) -> None:
    page = checked(open_page("data_check"), b"\x00\x01")
    assert "the file is binary" in page.error[0].value
    assert not page.metric


def test_pages_import_nothing_heavy() -> None:
    """In a fresh process, so that other tests' imports do not count."""
    import subprocess
    import sys

    code = (
        "import sys, json; import apps.support.page, apps.support.transcript, shared.client;"
        "import shared.ui.connection, shared.ui.model_card, shared.ui.report, shared.ui.reader;"
        "print(json.dumps(sorted({'torch','faiss','fastapi','transformers','sqlalchemy'}"
        " & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


# Drift


def test_the_model_page_says_what_drifts_and_what_to_do(fake, open_page) -> None:
    fake.drift = drift_of("support", fake.in_use, MORNING)
    page = open_page("model_report")
    assert "**2 signals of 5 tell drift**: mix of labels, unlike the training data" in (
        page.error[0].value
    )
    told = " ".join(one.value for one in page.markdown).replace("\\", "")
    assert ADVICE["labels"] in told
    assert ADVICE["confidence"] not in told
    assert len(page.get("vega_lite_chart")) == 5 + 2
    fake.drift = drift_of("support", fake.in_use, MORNING, told=False)
    page = open_page("model_report")
    assert "**No drift.**" in page.success[0].value


def test_the_model_page_says_when_there_is_too_little_to_compare(fake, open_page) -> None:
    fake.drift = drift_of("support", fake.in_use, MORNING, checks=0)
    page = open_page("model_report")
    assert "37 readings of the 150 that are needed" in page.info[0].value
    assert "triptych drift check support" in page.info[0].value
    drift = drift_of("support", fake.in_use, MORNING)
    few = drift.checks[-1].model_copy(
        update={"verdict": "too few readings", "signals": [], "live": 41}
    )
    fake.drift = drift.model_copy(update={"checks": [few], "every_hours": None})
    page = open_page("model_report")
    assert "41 readings, and needs 150" in page.info[0].value
    assert "TRIPTYCH_DRIFT_HOURS" in page.info[0].value
    fake.drift = drift.model_copy(update={"version": "another"})
    page = open_page("model_report")
    assert "has not been compared yet" in page.info[0].value
