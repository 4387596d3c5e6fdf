"""The finance monitor's routes over the whole application, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select

from apps.finance.bootstrap import served_finance
from data_connectors.feedback import read_feedback
from shared.serving.application import build_api
from shared.serving.guards.auth import Authenticator
from shared.serving.guards.keys import create_key
from shared.settings import Settings
from shared.storage.engine import open_database
from shared.storage.tables import audit_log, feedback
from tests.fakes.assembled_api import eventually
from tests.fakes.finance_monitor import NOW, VERSION, ScorerFake, fill
from tests.fakes.support_desk import PointerFake

pytestmark = pytest.mark.integration


class Api:
    """The application with the monitor in it, over stories that words have scored."""

    def __init__(self, engine: Engine, home: Path, *, keys: bool = False) -> None:
        self.engine = engine
        self.scorer = ScorerFake(engine)
        self.served = served_finance(
            Settings(home=home),
            engine,
            PointerFake({}),  # type: ignore[arg-type]
            clock=lambda: NOW,
            scorer=self.scorer,  # type: ignore[arg-type]
            resolve=lambda host, port, timeout: ["93.184.216.34"],
        )
        authenticator = Authenticator(engine if keys else None, keys)
        self.app = build_api(served=[self.served], authenticator=authenticator)
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"/v1/finance{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(f"/v1/finance{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def status(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        answer = self.client.request(method, f"/v1/finance{path}", **options)
        return answer.status_code, answer.json()["error"] if answer.content else ""

    def titles(self, **query: Any) -> list[str]:
        return [story["title"] for story in self.get("/stories", **query)["stories"]]

    def actions(self) -> list[tuple[str, str]]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(audit_log).order_by(audit_log.c.id))
            return [(row.actor, row.action) for row in rows]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with stories, made once: each test works on a copy."""
    path = tmp_path_factory.mktemp("filled") / "finance.sqlite3"
    engine = open_database(f"sqlite:///{path}")
    fill(engine, ScorerFake(engine))
    engine.dispose()
    return path


@pytest.fixture
def engine(filled: Path, tmp_path: Path) -> Iterator[Engine]:
    copy = tmp_path / "finance.sqlite3"
    copy.write_bytes(filled.read_bytes())
    opened = open_database(f"sqlite:///{copy}")
    yield opened
    opened.dispose()


@pytest.fixture
def api(engine: Engine, tmp_path: Path) -> Iterator[Api]:
    made = Api(engine, tmp_path)
    with made.client:
        assert eventually(lambda: made.scorer.starts == 1)
        yield made


# Readiness


def test_the_monitor_is_ready_without_a_version(engine: Engine, tmp_path: Path) -> None:
    api = Api(engine, tmp_path)
    api.scorer.used = False
    with api.client:
        assert eventually(lambda: api.client.get("/readyz").status_code == 200)
        assert api.client.get("/readyz").json()["versions"] == {"finance": None}
        assert api.status("POST", "/score", json={"texts": ["hello"]}) == (503, "not_ready")
        assert api.get("/overview")["version"] is None
    assert api.scorer.stops >= 1


def test_a_version_that_cannot_be_loaded_is_told(engine: Engine, tmp_path: Path) -> None:
    api = Api(engine, tmp_path)
    api.scorer.used, api.scorer.last_error = False, "a file of it changed"
    with api.client:
        assert eventually(lambda: api.scorer.starts == 1)
        answer = api.client.get("/readyz")
    assert answer.status_code == 503
    assert "a file of it changed" in answer.json()["message"]


# Stories


def test_a_story_comes_with_sources_score_and_companies(api: Api) -> None:
    newest = api.get("/stories")["stories"][0]
    assert newest["title"].startswith("Siemens falls after a warning, Philips gains")
    (source,) = newest["sources"]
    assert (source["publisher"], source["revisions"]) == ("Wire", 0)
    said = {mention["name"]: mention for mention in newest["score"]["mentions"]}
    assert {name: one["label"] for name, one in said.items()} == {
        "Siemens": "negative",
        "Philips": "positive",
    }
    whole = newest["title"] + "\n" + newest["text"]
    (span,) = said["Philips"]["spans"]
    assert whole[span["start"] : span["end"]] == "Philips"
    assert said["Siemens"]["in_title"]
    assert newest["score"]["version"] == VERSION


def test_a_rule_that_decided_is_the_reason(api: Api) -> None:
    (story,) = api.get("/stories", text="chapter 11")["stories"]
    reason = story["score"]["reason"]
    assert (reason["kind"], story["score"]["label"]) == ("rule", "negative")
    assert "Chapter 11" in reason["text"]


def test_filters_narrow_the_stories(api: Api) -> None:
    assert len(api.titles()) == 9
    assert len(api.titles(company="siemens")) == 3
    assert api.titles(company="siemens", label="positive") == ["Siemens wins a large order"]
    assert api.titles(event="merger", label="positive") == ["Tesla gains on a merger rumour"]
    assert api.titles(kind="post") == ["my Tesla never falls apart"]
    assert api.titles(text="PATENTS") == ["Siemens loses a lawsuit over patents"]
    since, until = NOW - timedelta(hours=31), NOW - timedelta(hours=10)
    assert api.titles(since=since.isoformat(), until=until.isoformat()) == [
        "Philips gains after record profit",
        "Siemens wins a large order",
    ]


def test_pages_follow_one_another_without_gaps(api: Api) -> None:
    titles, cursor = [], None
    while True:
        page = api.get("/stories", limit=2, **({"cursor": cursor} if cursor else {}))
        titles += [story["title"] for story in page["stories"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert titles == api.titles()
    assert api.status("GET", "/stories", params={"cursor": "x"}) == (422, "data_error")


def test_a_changed_story_tells_what_it_said_before(api: Api) -> None:
    (found,) = api.get("/stories", text="rates")["stories"]
    story = api.get(f"/stories/{found['id']}")
    assert story["sources"][0]["revisions"] == 1
    assert [one["title"] for one in story["revisions"]] == ["Rates stay where they are"]
    assert api.status("GET", "/stories/none") == (404, "not_found")


def test_the_words_of_a_story_toward_one_company(api: Api) -> None:
    story = api.get("/stories")["stories"][0]
    toward = api.get(f"/stories/{story['id']}/explanation", company="siemens")
    assert toward["label"] == "negative"
    asked, label = api.scorer.explained[-1]
    assert asked.startswith("[ Siemens ] falls")
    assert label == "negative"
    assert "[" not in {word["token"] for word in toward["words"]}
    overall = api.get(f"/stories/{story['id']}/explanation")
    assert (overall["company_id"], overall["label"]) == (None, story["score"]["label"])
    missing = api.status("GET", f"/stories/{story['id']}/explanation", params={"company": "tesla"})
    assert missing == (404, "not_found")


# Scores and feedback


def test_a_sentence_can_be_good_for_one_company_and_bad_for_another(api: Api) -> None:
    text = "Siemens gains while Acme Widgets falls"
    answer = api.post("/score", texts=[text], companies=["acme widgets"], explain=True)
    (score,) = answer["scores"]
    said = {one["name"]: one for one in score["mentions"]}
    assert {name: one["label"] for name, one in said.items()} == {
        "Siemens": "positive",
        "acme widgets": "negative",
    }
    assert all(one["words"] for one in said.values())
    (span,) = said["acme widgets"]["spans"]
    assert text[span["start"] : span["end"]] == "Acme Widgets"
    assert score["words"]


def test_a_name_that_is_a_known_companys_is_not_told_twice(api: Api) -> None:
    (score,) = api.post("/score", texts=["Siemens gains"], companies=["Siemens"])["scores"]
    assert [one["company_id"] for one in score["mentions"]] == ["siemens"]
    assert score["words"] == []


def test_too_many_texts_to_explain_are_refused(api: Api) -> None:
    body = {"texts": ["a"] * 9, "explain": True}
    assert api.status("POST", "/score", json=body) == (422, "data_error")
    assert len(api.post("/score", texts=["a"] * 64)["scores"]) == 64
    assert api.status("POST", "/score", json={"texts": ["a"] * 65})[0] == 422


def test_feedback_becomes_examples_with_the_company_marked(api: Api) -> None:
    story = api.get("/stories")["stories"][0]
    api.post("/feedback", author="Ada", label="neutral", story_id=story["id"], company="philips")
    api.post(
        "/feedback",
        author="Ada",
        label="positive",
        text="Call ada@example.com. Acme rises again, says Acme.",
        company="acme",
    )
    api.post("/feedback", author="Bo", label="negative", text="All is lost [again]")
    dataset = read_feedback(api.engine, "finance")
    assert [(one.text, one.label) for one in dataset.examples] == [
        ("Siemens falls after a warning, [ Philips ] gains on new orders", "neutral"),
        ("[ Acme ] rises again, says [ Acme ].", "positive"),
        ("All is lost (again)", "negative"),
    ]
    with api.engine.connect() as connection:
        row = connection.execute(select(feedback).order_by(feedback.c.id)).first()
    assert (row.predicted, row.version) == ("positive", VERSION)
    assert api.actions()[-3:] == [("Ada", "correction")] * 2 + [("Bo", "correction")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": "a b"} | {"story_id": "1"}, 422),
        ({}, 422),
        ({"text": "a b", "company": "Acme"}, 422),
        ({"story_id": "1"}, 404),
        ({"text": "a", "label": "bad"}, 422),
    ],
    ids=["both", "neither", "no such name in it", "no such story", "no such label"],
)
def test_feedback_that_makes_no_sense_is_refused(api: Api, body: Any, status: int) -> None:
    sent = {"author": "Ada", "label": "neutral", **body}
    assert api.status("POST", "/feedback", json=sent)[0] == status


# The index and the overview


def test_the_index_of_a_company_follows_its_stories(api: Api) -> None:
    series = api.get("/index", subject="company:siemens", step="hour")
    assert series["points"][-1]["at"].startswith("2026-11-24T09:00")
    assert series["points"][-1]["value"] < 0
    assert sum(point["volume"] for point in series["points"]) == 3
    assert api.get("/index", subject="sector:Nothing")["points"][-1]["value"] is None


@pytest.mark.parametrize(
    ("step", "days", "status"), [("hour", 93, 422), ("day", 93, 200), ("hour", -1, 422)]
)
def test_a_range_is_neither_empty_nor_endless(api: Api, step: str, days: int, status: int) -> None:
    query = {
        "step": step,
        "since": (NOW - timedelta(days=days)).isoformat(),
        "until": NOW.isoformat(),
    }
    answer = api.client.get("/v1/finance/index", params=query)
    assert answer.status_code == status, answer.text


def test_the_overview_puts_it_on_one_page(api: Api) -> None:
    shown = api.get("/overview", days=10)
    assert len(shown["daily"]["points"]) == 11
    assert (shown["stories_today"], shown["feeds"]["active"]) == (6, 2)
    assert shown["negative_today"] == 5
    assert shown["negative_stories"][0]["title"].startswith("Siemens falls")
    assert shown["down"][0]["company_id"] in ("siemens", "tesla")
    assert all(one["change"] < 0 for one in shown["down"])
    assert {one["company_id"] for one in shown["up"]} >= {"philips"}
    names = {alert["rule_name"] for alert in shown["open_alerts"]}
    assert "Insolvency" in names


# Feeds


def test_a_feed_is_added_muted_polled_again_and_removed(api: Api) -> None:
    added = api.post("/feeds", url="https://new.test/rss", author="Ada")
    assert (added["name"], added["state"], added["added_by"]) == ("new.test", "active", "Ada")
    again = {"url": "https://new.test/rss", "author": "Ada"}
    assert api.status("POST", "/feeds", json=again) == (409, "conflict")
    path = f"/feeds/{added['id']}"
    assert api.post(f"{path}/mute", author="Bo")["state"] == "muted"
    assert api.post(f"{path}/unmute", author="Bo")["state"] == "active"
    assert api.status("DELETE", path, params={"author": "Cy"}) == (204, "")
    assert [feed["name"] for feed in api.get("/feeds")["feeds"]] == ["Ledger", "Wire"]
    assert api.actions()[-4:] == [
        ("Ada", "feed_added"),
        ("Bo", "feed_muted"),
        ("Bo", "feed_unmuted"),
        ("Cy", "feed_removed"),
    ]
    assert api.status("DELETE", path, params={"author": "Cy"}) == (404, "not_found")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://127.0.0.1/rss", "http://user:pw@wire.test/", "hello"]
)
def test_addresses_that_may_not_be_called_are_refused(api: Api, url: str) -> None:
    assert api.status("POST", "/feeds", json={"url": url, "author": "Ada"})[0] == 422
    target = {"channel": "webhook", "address": url, "author": "Ada"}
    assert api.status("POST", "/targets", json=target)[0] == 422


# Companies


def test_companies_are_searched_watched_first(api: Api) -> None:
    found = api.get("/companies", limit=5)["companies"]
    assert [(one["id"], one["watched"]) for one in found[:2]] == [
        ("siemens", True),
        ("tesla", True),
    ]
    assert "nestle" in {one["id"] for one in api.get("/companies", query="nestlé")["companies"]}
    assert len(api.get("/companies", watched=True)["companies"]) == 2


def test_a_company_is_watched_and_unwatched(api: Api) -> None:
    watched = api.post("/companies", company_id="philips", author="Ada")
    assert watched["watched"]
    assert api.get("/companies/philips")["watched"]
    own = api.post("/companies", name="Acme Widgets", ticker="ACMW", author="Ada")
    assert api.get(f"/companies/{own['id']}")["name"] == "Acme Widgets"
    assert api.status("DELETE", f"/companies/{own['id']}", params={"author": "Ada"})[0] == 204
    assert api.status("GET", f"/companies/{own['id']}") == (404, "not_found")
    both = {"author": "Ada", "name": "X", "company_id": "philips"}
    assert api.status("POST", "/companies", json=both) == (422, "data_error")


# Rules, alerts, targets


def test_a_rule_is_made_switched_and_deleted(api: Api) -> None:
    rule = api.post(
        "/rules",
        name="Wave",
        kind="burst",
        scope="all",
        parameters={"min_stories": 7},
        author="Ada",
    )
    assert rule["parameters"]["min_stories"] == 7
    assert rule["parameters"]["min_z"] == 3.0
    path = f"/rules/{rule['id']}"
    assert not api.post(f"{path}/disable", author="Ada")["enabled"]
    assert api.post(f"{path}/enable", author="Ada")["enabled"]
    assert api.get("/rules")["rules"][0]["id"] == rule["id"]
    assert api.status("DELETE", path, params={"author": "Ada"}) == (204, "")
    assert api.status("POST", f"{path}/enable", json={"author": "Ada"}) == (404, "not_found")


def test_a_wrong_parameter_is_named(api: Api) -> None:
    body = {
        "name": "x",
        "kind": "fall",
        "scope": "all",
        "parameters": {"pionts": 1},
        "author": "Ada",
    }
    answer = api.client.post("/v1/finance/rules", json=body)
    assert answer.status_code == 422
    assert "pionts" in answer.json()["message"]


def test_an_alert_carries_its_evidence_and_is_worked_on(api: Api) -> None:
    page = api.get("/alerts", state="open")
    alert = next(one for one in page["alerts"] if one["kind"] == "event")
    assert alert["subject_name"] == "All stories"
    assert [story["title"] for story in alert["stories"]] == [
        "Siemens loses a lawsuit over patents"
    ]
    company = next(one for one in page["alerts"] if one["kind"] == "threshold")
    assert company["subject_name"] in ("Siemens", "Tesla")
    assert company["numbers"]["level"] == -0.3
    path = f"/alerts/{alert['id']}"
    assert api.post(f"{path}/acknowledge", author="Bo", note="known")["changed_by"] == "Bo"
    again = api.status("POST", f"{path}/acknowledge", json={"author": "Cy"})
    assert again == (409, "conflict")
    until = (NOW + timedelta(hours=4)).isoformat()
    assert api.post(f"{path}/snooze", author="Bo", until=until)["state"] == "snoozed"
    past = {"author": "Bo", "until": NOW.isoformat()}
    assert api.status("POST", f"{path}/snooze", json=past) == (422, "data_error")
    closed = api.post(f"{path}/close", author="Bo")
    assert (closed["state"], closed["note"]) == ("closed", "known")
    assert alert["id"] not in {one["id"] for one in api.get("/alerts", state="open")["alerts"]}


def test_a_targets_secret_is_told_once(api: Api) -> None:
    added = api.post("/targets", channel="webhook", address="https://desk.test/h", author="Ada")
    assert len(added["secret"]) >= 16
    (listed,) = api.get("/targets")["targets"]
    assert "secret" not in listed
    assert listed["signed"]
    assert api.status("DELETE", f"/targets/{added['id']}", params={"author": "Ada"})[0] == 204
    assert api.get("/targets")["targets"] == []


# Keys


@pytest.mark.parametrize(
    ("scope", "path", "body", "status"),
    [
        ("use", "/score", {"texts": ["a"]}, 200),
        ("use", "/rules", {}, 403),
        ("review", "/rules", {}, 422),
        ("review", "/feeds", {}, 403),
        ("admin", "/feeds", {}, 422),
        ("review", "/targets", {}, 403),
        ("use", "/feedback", {}, 403),
    ],
)
def test_each_route_asks_for_its_scope(
    engine: Engine, tmp_path: Path, scope: str, path: str, body: Any, status: int
) -> None:
    key = create_key(engine, name=scope, scopes=[scope], actor="test", now=NOW).secret
    api = Api(engine, tmp_path, keys=True)
    with api.client:
        headers = {"Authorization": f"Bearer {key}"}
        answer = api.client.post(f"/v1/finance{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert api.client.get("/v1/finance/stories").status_code == 401
