"""The recommender's pages as Streamlit runs them, against an API whose state lies open."""

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
from shared.api.recommend import ItemShape
from tests.fakes.drift_answers import drift_of
from tests.fakes.loopback import served
from tests.fakes.recommend_api import BUNDLES, FakeRecommendApi
from tests.fakes.recommend_api_routes import routes_of

pytestmark = pytest.mark.unit

PAGES = Path(apps.__file__).parent / "recommend" / "pages"
Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def served_fake() -> Iterator[tuple[FakeRecommendApi, str]]:
    """One server for all tests here: only its state is new for each."""
    fake = FakeRecommendApi(datetime.now(UTC).replace(microsecond=0))
    with served(routes_of(fake)) as url:
        yield fake, url


@pytest.fixture
def fake(served_fake: tuple[FakeRecommendApi, str]) -> FakeRecommendApi:
    served_fake[0].reset()
    return served_fake[0]


@pytest.fixture
def open_page(
    fake: FakeRecommendApi,
    served_fake: tuple[FakeRecommendApi, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Open:
    monkeypatch.delenv("TRIPTYCH_API_KEY", raising=False)
    monkeypatch.setenv("TRIPTYCH_API_URL", served_fake[1])

    def run(name: str, *, signed: bool = False, **query: str) -> AppTest:
        page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=30)
        page.context = {"timezone": "Europe/Berlin"}
        if signed:
            page.session_state["reader_name"] = "Ada"
        for key, value in query.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        return page

    return run


def labelled(elements, label: str):
    found = [one for one in elements if one.label == label]
    assert found, f"no {label!r} among {[one.label for one in elements]}"
    return found[0]


def words(page: AppTest) -> str:
    """All that stands on the page as text."""
    shown = [page.markdown, page.caption, page.text, page.title, page.subheader]
    shown += [page.error, page.warning, page.info, page.success]
    return "\n".join(one.value for kind in shown for one in kind).replace("\\", "")


def drawn(page: AppTest) -> str:
    """All cards, as HTML."""
    return "".join(one.value for one in page.html)


# What all of them begin with


def test_made_up_behaviour_is_said_to_be_so_on_every_page(fake, open_page) -> None:
    names = [path.stem for path in PAGES.glob("*.py") if path.stem != "__init__"]
    assert len(names) == 5
    for name in names:
        assert words(open_page(name)).count("Synthetic behaviour") == 1, name
    fake.synthetic = False
    for name in names:
        assert "Synthetic" not in words(open_page(name)), name


def test_an_empty_catalogue_says_how_to_fill_it(fake, open_page) -> None:
    fake.items = {}
    page = open_page("shop_window")
    assert "triptych recommend load-items" in page.info[0].value
    assert not page.slider


def test_a_team_of_the_address_is_asked_for_and_kept(fake, open_page) -> None:
    page = open_page("shop_window", tenant="garden")
    assert "garden" in words(page)
    del page.query_params["tenant"]
    page.run()
    assert fake.tenants == ["garden", "garden"]


def test_an_api_with_keys_asks_for_one(fake, open_page) -> None:
    fake.key = "tk_1_good"
    assert "asks for a key" in open_page("shop_window").warning[0].value


# Shop window


def test_a_user_sees_history_list_and_reasons(fake, open_page) -> None:
    page = open_page("shop_window")
    assert page.selectbox[0].value == "mara"
    html = drawn(page)
    assert "8 events, newest first" in html
    assert html.index("An Atlas of Small Rivers") < html.index("Leather camera strap")
    assert "because you viewed An Atlas of Small Rivers (39 %)" in html
    assert "because many take it (35 %)" in html
    assert "new; its text is nearest to Table tripod" in html
    assert fake.asked[-1]["k"] == 10
    assert fake.asked[-1]["record"] is False


def test_sliders_and_filters_become_settings_of_the_list(fake, open_page) -> None:
    page = open_page("shop_window", user="jonas")
    labelled(page.slider, "Diversity").set_value(0.4)
    labelled(page.slider, "Exploration").set_value(0.2)
    labelled(page.slider, "Damping").set_value(0.15)
    labelled(page.multiselect, "Only these categories").set_value(["Kitchen", "Books"])
    labelled(page.multiselect, "None of these").set_value(["Books"])
    labelled(page.number_input, "Price from").set_value(30.0)
    labelled(page.number_input, "to").set_value(80.0)
    labelled(page.number_input, "At most of a category").set_value(3)
    labelled(page.number_input, "Items in the list").set_value(4)
    labelled(page.selectbox, "Leave out").set_value("none")
    labelled(page.checkbox, "Only what is available").set_value(False).run()
    asked = fake.asked[-1]
    assert (asked["diversity"], asked["exploration"], asked["damping"]) == (0.4, 0.2, 0.15)
    assert (asked["k"], asked["category_cap"]) == (4, 3)
    filters = asked["filters"]
    assert filters["categories"] == ["Kitchen", "Books"]
    assert filters["exclude_categories"] == ["Books"]
    assert (filters["min_price"], filters["max_price"]) == (30, 80)
    assert (filters["hide"], filters["available_only"]) == ("none", False)
    assert "Cast iron pan" in drawn(page)


def test_a_short_list_says_why(open_page) -> None:
    page = open_page("shop_window", user="jonas")
    labelled(page.multiselect, "Only these categories").set_value(["Kitchen"]).run()
    said = words(page)
    assert "4 of 10: no more items may be shown" in said
    assert "21 items are of other categories." in said
    assert "1 item is bought already." in said
    assert "1 item is not available." in said


def test_a_price_range_that_is_none_is_refused(fake, open_page) -> None:
    page = open_page("shop_window")
    asked = len(fake.asked)
    labelled(page.number_input, "Price from").set_value(90.0)
    labelled(page.number_input, "to").set_value(10.0).run()
    assert "No price is from 90.00 to 10.00" in page.error[0].value
    assert len(fake.asked) == asked


def test_nothing_can_be_done_for_a_user_until_it_is_wanted(fake, open_page) -> None:
    page = open_page("shop_window")
    assert "Buy" not in [one.label for one in page.button]
    page.toggle[0].set_value(True).run()
    assert fake.asked[-1]["record"] is True
    page.button(key="purchase-card").click().run()
    assert fake.done == [("purchase", "card", "mara")]
    ((request_id, item),) = fake.clicks
    assert item == "card"
    assert request_id == f"{2:032x}"  # of the list that the button stood in, not of a later one
    assert "because you bought Memory card, 128 GB" in drawn(page)
    page.button(key="dislike-filter").click().run()
    assert fake.done[-1] == ("dislike", "filter", "mara")
    assert len(fake.clicks) == 1


def test_a_user_who_is_not_known_gets_what_is_popular(open_page) -> None:
    page = open_page("shop_window", user="nobody-yet")
    assert "Nothing is known of this user" in words(page)
    html = drawn(page)
    assert html.index("Insulated bottle") < html.index("Lighthouse Ledger")
    assert "because many take it (100 %)" in html


def test_a_user_is_forgotten_and_the_receipt_shown_once(fake, open_page) -> None:
    page = open_page("shop_window", user="mara")
    labelled(page.button, "Forget now").click().run()
    assert fake.done == [("forget", "mara")]
    assert "Removed: 8 events, 3 impressions, 1 click" in words(page)
    assert "Nothing is known of this user" in words(page)
    page.run()
    assert "Receipt" not in words(page)


def test_a_visit_is_followed_item_by_item(fake, open_page) -> None:
    page = open_page("shop_window")
    labelled(page.segmented_control, "For").set_value("A visit").run()
    assert "Look at an item" in page.info[0].value
    page.selectbox(key="visit-item").set_value("grinder").run()
    page.selectbox(key="visit-item").set_value("pan").run()
    assert fake.asked[-1]["items"] == ["grinder", "pan"]
    assert "Viewed: Hand coffee grinder → Cast iron pan, 26 cm" in words(page)
    assert "because you viewed Cast iron pan, 26 cm" in drawn(page)
    labelled(page.button, "Start again").click().run()
    assert "Look at an item" in page.info[0].value


def test_a_stored_visit_is_listed_by_its_id(fake, open_page) -> None:
    page = open_page("shop_window")
    labelled(page.segmented_control, "For").set_value("A visit").run()
    labelled(page.text_input, "Or the id of a visit").set_value("visit-7").run()
    assert fake.asked[-1]["session"] == "visit-7"
    assert fake.asked[-1]["record"] is False
    assert "because you viewed Chef&#x27;s knife" in drawn(page)


def test_without_a_bundle_the_list_says_what_it_goes_by(fake, open_page) -> None:
    fake.ready = False
    assert "Nothing is fitted yet" in words(open_page("shop_window"))


# Item neighbours


def test_an_item_of_the_address_shows_its_neighbours(open_page) -> None:
    page = open_page("item_neighbours", item="grinder")
    assert page.selectbox[0].value == "grinder"
    html = drawn(page)
    assert html.index("Gooseneck kettle") < html.index("Cast iron pan")
    assert "Ceramic coffee dripper" not in html
    labelled(page.checkbox, "Only what is available").set_value(False)
    labelled(page.checkbox, "Only of its category").set_value(True).run()
    html = drawn(page)
    assert "Ceramic coffee dripper" in html
    assert "Bread, Slowly" not in html


def test_a_neighbour_leads_on_to_its_own(open_page) -> None:
    page = open_page("item_neighbours", item="grinder")
    page.button(key="to-kettle").click().run()
    assert page.query_params["item"] == "kettle"
    assert page.selectbox[0].value == "kettle"
    page.selectbox[0].set_value("tent").run()
    assert page.query_params["item"] == "tent"
    assert "Folding walking poles" in drawn(page)


def test_an_item_that_is_gone_is_said_to_be(open_page) -> None:
    page = open_page("item_neighbours", item="gone")
    assert "there is no item gone" in words(page)
    assert "Choose an item" in words(page)


def test_a_large_catalogue_is_searched(fake, open_page) -> None:
    for number in range(300):
        id = f"thing-{number:03}"
        fake.items[id] = ItemShape(id=id, title=f"Thing {number}")
    page = open_page("item_neighbours", item="vase")
    assert page.selectbox[0].value == "vase"  # though it is none of the first 200
    assert len(page.selectbox[0].options) == 201
    page.text_input[0].set_value("thing 29").run()
    options = page.selectbox[0].options
    assert "Thing 299" in options
    assert len(options) == 12  # 29, 290 to 299, and the one that is shown


def test_a_text_finds_items(open_page) -> None:
    page = open_page("item_neighbours")
    page.segmented_control[0].set_value("Fits a text").run()
    assert "need not be the words of a title" in words(page)
    page.text_input[0].set_value("warm light for the page")
    labelled(page.button, "Find").click().run()
    assert "Reading lamp with an arm" in drawn(page)


# Map


def test_the_map_shows_all_and_those_that_are_chosen(open_page) -> None:
    page = open_page("catalogue_map")
    assert "Outdoors (7)" in drawn(page)
    assert len(page.get("vega_lite_chart")) == 1
    page.multiselect[0].set_value(["Home"]).run()
    assert "Home (5)" in drawn(page)
    assert "Outdoors" not in drawn(page)


def test_two_items_are_no_map(fake, open_page) -> None:
    fake.items = {id: fake.items[id] for id in ("tent", "pan")}
    assert "needs three items" in open_page("catalogue_map").info[0].value


# Report


def test_the_report_of_the_bundle_in_use_comes_first(open_page) -> None:
    page = open_page("offline_report")
    assert page.selectbox[0].value == BUNDLES[1]
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["NDCG@10"] == "0.143"
    assert metrics["Coverage@10"] == "57 %"
    assert "387 users tested" in words(page)
    assert "standard error of recall@10 0.0112" in words(page)
    parts, table = (frame.value for frame in page.dataframe)
    assert parts["what ranks"].tolist()[0] == "all together"
    assert table.loc[table["metric"] == "NDCG", "95 % interval"].item() == "0.131 to 0.155"
    page.selectbox[0].set_value(BUNDLES[0]).run()
    assert {metric.label: metric.value for metric in page.metric}["NDCG@10"] == "0.151"


def test_without_a_bundle_the_report_says_how_to_fit_one(fake, open_page) -> None:
    fake.ready = False
    assert "triptych train recommend" in open_page("offline_report").info[0].value


# Bundles and experiments


def test_nothing_is_done_without_a_name(open_page) -> None:
    page = open_page("bundles_and_experiments")
    for label in ("Fit again now", "Put in use", "Roll back"):
        assert labelled(page.button, label).disabled
    page.segmented_control(key="bundles_view").set_value("Experiments").run()
    assert labelled(page.button, "Stop").disabled
    assert labelled(page.button, "Start it").disabled


def test_a_fit_is_asked_for_and_followed(fake, open_page) -> None:
    page = open_page("bundles_and_experiments", signed=True)
    assert "724 events since the last fit" in words(page)
    labelled(page.button, "Fit again now").click().run()
    assert fake.done == [("refit", "Ada")]
    assert "waits for its turn" in words(page)
    assert labelled(page.button, "Fit again now").disabled
    fake.refit = fake.refit.model_copy(update={"state": "failed", "error": "the disk is full"})
    page.run()
    assert "the disk is full" in page.error[0].value
    assert not labelled(page.button, "Fit again now").disabled


def test_a_bundle_is_put_in_use_and_rolled_back(fake, open_page) -> None:
    page = open_page("bundles_and_experiments", signed=True)
    page.button(key=f"promote-{BUNDLES[0]}").click().run()
    assert fake.in_use == BUNDLES[0]
    assert BUNDLES[0] in page.toast[0].value.replace("\\", "")
    labelled(page.button, "Roll back").click().run()
    assert fake.in_use == BUNDLES[1]
    assert fake.done == [("rollback", "Ada")]


def test_a_worse_bundle_is_refused_unless_forced(fake, open_page) -> None:
    fake.worse = {BUNDLES[0]}
    page = open_page("bundles_and_experiments", signed=True)
    page.button(key=f"promote-{BUNDLES[0]}").click().run()
    assert "is worse: ndcg@10 .143" in words(page)
    assert fake.in_use == BUNDLES[1]
    page.checkbox(key=f"force-{BUNDLES[0]}").set_value(True)
    page.button(key=f"promote-{BUNDLES[0]}").click().run()
    assert fake.in_use == BUNDLES[0]
    assert "by Ada, by force" in words(page)


def test_an_experiment_shows_rates_and_their_difference(open_page) -> None:
    page = open_page("bundles_and_experiments")
    page.segmented_control(key="bundles_view").set_value("Experiments").run()
    said = words(page)
    assert "varied: 50 % of the users, diversity 0.4, at most 3 of a category" in said
    assert "varied against as it is: +3.0 points (+0.6 to +5.3): better." in said
    table = page.dataframe[0].value
    assert list(table["rate"]) == ["8.1 %", "11.0 %"]
    assert page.get("vega_lite_chart")


def test_an_experiment_is_stopped_and_deleted(fake, open_page) -> None:
    page = open_page("bundles_and_experiments", signed=True)
    page.segmented_control(key="bundles_view").set_value("Experiments").run()
    id = fake.experiments[0].id
    page.button(key=f"stop-{id}").click().run()
    assert fake.experiments[0].state == "stopped"
    page.button(key=f"delete-{id}").click().run()
    assert fake.done == [("stop", id, "Ada"), ("delete", id, "Ada")]
    assert "No experiment yet" in words(page)


def test_an_experiment_is_started(fake, open_page) -> None:
    page = open_page("bundles_and_experiments", signed=True)
    page.segmented_control(key="bundles_view").set_value("Experiments").run()
    labelled(page.text_input, "Name").set_value("Fewer hits")
    labelled(page.slider, "Users in the other arm (%)").set_value(20)
    labelled(page.slider, "Diversity").set_value(0.0)
    labelled(page.slider, "Damping").set_value(0.6)
    labelled(page.button, "Start it").click().run()
    made = fake.experiments[0]
    assert (made.name, made.created_by) == ("Fewer hits", "Ada")
    assert [(arm.name, arm.share) for arm in made.arms] == [("as it is", 0.8), ("varied", 0.2)]
    assert made.arms[1].settings.damping == 0.6
    assert made.arms[1].settings.diversity is None
    assert "2 experiments run: the newest, “Fewer hits”, decides" in words(page)
    assert "no list was shown yet to compare with as it is" in words(page)


def test_an_experiment_without_a_name_is_refused_with_the_reason(fake, open_page) -> None:
    page = open_page("bundles_and_experiments", signed=True)
    page.segmented_control(key="bundles_view").set_value("Experiments").run()
    labelled(page.button, "Start it").click().run()
    assert "name" in page.error[0].value
    assert len(fake.experiments) == 1


# What holds for all


def test_what_people_wrote_never_becomes_markup(fake, open_page) -> None:
    hostile = "<b>Tent</b> ![x](http://evil.test/a.png)"
    fake.items["tent"] = ItemShape(id="tent", title=hostile, text=hostile, category="<i>c</i>")
    fake.add_event({"type": "view", "item": "tent", "user": "mara"})
    fake.experiments[0] = fake.experiments[0].model_copy(update={"name": hostile})
    experiments = open_page("bundles_and_experiments")
    experiments.segmented_control(key="bundles_view").set_value("Experiments").run()
    for page in (
        open_page("shop_window"),
        open_page("item_neighbours", item="tent"),
        open_page("catalogue_map"),
        experiments,
    ):
        assert "<b>" not in drawn(page)
        assert "<i>" not in drawn(page)
        written = [one.value for kind in (page.markdown, page.caption, page.info) for one in kind]
        assert not [text for text in written if "![x]" in text]


def test_pages_import_nothing_heavy() -> None:
    """In a fresh process, so that other tests' imports do not count."""
    parts = sorted(path.stem for path in (PAGES.parent / "page_parts").glob("*.py"))
    code = (
        "import sys, json, importlib; import apps.recommend.page;"
        f"[importlib.import_module('apps.recommend.page_parts.' + part) for part in {parts!r}"
        " if part != '__init__'];"
        "print(json.dumps(sorted({'torch','faiss','fastapi','transformers','sqlalchemy'}"
        " & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_drift_of_the_bundle_in_use(fake, open_page) -> None:
    fake.drift = drift_of("recommend", fake.in_use, fake.now)
    page = open_page("bundles_and_experiments")
    page.session_state["bundles_view"] = "Drift"
    page.run()
    assert "**1 signal of 2 tells drift**: items not in the bundle" in page.error[0].value
    assert len(page.get("vega_lite_chart")) == 2
