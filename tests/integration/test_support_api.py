"""The support desk's routes over the whole application, on a real database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select

from apps.support.bootstrap import SupportSettings, served_support
from apps.support.inference import Desk
from shared.serving.application import build_api
from shared.serving.guards.auth import Authenticator
from shared.serving.guards.keys import create_key
from shared.settings import Settings
from shared.storage.audit import read_audit
from shared.storage.engine import open_database
from shared.storage.tables import feedback, messages
from tests.fakes.predictor import KeywordPredictor
from tests.fakes.support_desk import ClockFake, PointerFake, shop_desk

pytestmark = pytest.mark.integration


class Api:
    """The application with the support desk in it, a version pointer and a clock to move."""

    def __init__(self, engine: Engine, home: Path, *, used: str | None = "v1") -> None:
        self.engine = engine
        self.clock = ClockFake()
        self.pointer = PointerFake(
            {name: shop_desk(KeywordPredictor(version=name)) for name in ("v1", "v2")}, used
        )
        self.served = served_support(
            Settings(home=home),
            engine,
            self.pointer,  # type: ignore[arg-type]
            clock=self.clock,
            desk_settings=SupportSettings(),
            load=as_it_is,
            poll_seconds=0.05,
        )
        self.app = build_api(served=[self.served], authenticator=Authenticator(None, False))
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(f"/v1/support{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"/v1/support{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def status(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        answer = self.client.request(method, f"/v1/support{path}", **options)
        return answer.status_code, answer.json().get("error", "")


def as_it_is(version: Any) -> Desk:
    assert isinstance(version, Desk)
    return version


def until(holds: Callable[[], bool], seconds: float = 2.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{tmp_path / 'support.sqlite3'}")
    yield opened
    opened.dispose()


@pytest.fixture
def api(engine: Engine, tmp_path: Path) -> Iterator[Api]:
    made = Api(engine, tmp_path)
    with made.client:
        until(lambda: made.served.ready)
        yield made


def test_many_messages_are_classified_in_their_order(api: Api) -> None:
    texts = ["refund", "my parcel", "quantum", "a human please"] * 64
    answer = api.post("/classify", texts=texts)
    assert answer["version"] == "v1"
    assert [one["text"] for one in answer["results"]] == texts
    actions = [one["action"] for one in answer["results"][:4]]
    assert actions == ["answer", "clarify", "handoff", "handoff"]
    first = answer["results"][0]
    assert first["intent"] == "refund"
    assert first["ranked"][0]["probability"] == pytest.approx(first["confidence"])


def test_a_conversation_from_question_to_person_and_back(api: Api) -> None:
    asked = api.post("/chat", text="my parcel")
    assert asked["text"].startswith("Do you want to (1) change the address or (2) track an order?")
    key = asked["conversation_id"]
    assert api.post("/chat", text="neither", conversation_id=key)["owner"] == "waiting"
    (waiting,) = api.get("/conversations", owner="waiting")["conversations"]
    assert waiting["id"] == key
    taken = api.post(f"/conversations/{key}/takeover", person="Ada")
    assert taken["handover"]["reason"] == "the customer means neither of the two intents"
    assert {one["intent"] for one in taken["handover"]["ranked"]} == {
        "change_address",
        "track_order",
    }
    assert len(taken["messages"]) == 4
    assert api.post("/chat", text="hello?", conversation_id=key)["text"] is None
    api.post(f"/conversations/{key}/messages", person="Ada", text="Hello!")
    released = api.post(f"/conversations/{key}/release", person="Ada")
    assert released["owner"] == "bot"
    assert api.get(f"/conversations/{key}")["messages"][-1]["name"] == "Ada"
    assert api.post("/chat", text="refund", conversation_id=key)["action"] == "answer"


def test_personal_data_comes_back_masked(api: Api) -> None:
    text = "refund to ada@example.org"
    assert api.post("/classify", texts=[text])["results"][0]["text"] == "refund to [email]"
    key = api.post("/chat", text=text)["conversation_id"]
    assert api.get(f"/conversations/{key}")["messages"][0]["text"] == "refund to [email]"
    stored = api.post("/feedback", author="Ada", intent="refund", text=text, note=text)
    assert stored["text"] == "refund to [email]"
    with api.engine.begin() as connection:
        row = connection.execute(select(feedback)).one()
    assert "ada@" not in str(tuple(row))


def test_feedback_on_a_message_takes_it_off_the_review_queue(api: Api) -> None:
    reply = api.post("/chat", text="quantum entanglement")
    queue = api.get("/review")
    assert [one["message_id"] for one in queue["items"]] == [reply["message_id"]]
    assert queue["items"][0]["action"] == "handoff"
    receipt = api.post(
        "/feedback", author="Ada", intent="out_of_scope", message_id=reply["message_id"]
    )
    assert receipt["text"] == "quantum entanglement"
    assert api.get("/review")["total"] == 0
    with api.engine.begin() as connection:
        row = connection.execute(select(feedback)).one()
        state = connection.execute(
            select(messages.c.review_state).where(messages.c.id == reply["message_id"])
        ).scalar_one()
    assert (row.predicted, row.version, row.message_id) == (
        reply["intent"],
        "v1",
        reply["message_id"],
    )
    assert row.created_at == api.clock.now
    assert state == "done"


def test_the_review_queue_takes_a_persons_word_once(api: Api) -> None:
    first = api.post("/chat", text="quantum entanglement")["message_id"]
    second = api.post("/chat", text="my parcel")["message_id"]
    path = f"/v1/support/review/{first}"
    answer = api.client.post(path, json={"author": "Ada", "intent": "refund"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.client.post(path, json={"author": "Ada", "intent": "refund"}).status_code == 409
    skip = api.client.post(f"/v1/support/review/{second}", json={"author": "Ada", "intent": None})
    assert skip.status_code == 204
    assert api.get("/review")["total"] == 0
    api.post("/feedback", author="Bob", intent="refund", text="money back")
    told = [(line.actor, line.action, line.details["intent"]) for line in read_audit(api.engine)]
    assert told == [
        ("Bob", "correction", "refund"),
        ("Ada", "message set aside", None),
        ("Ada", "correction", "refund"),
    ]


def test_messages_that_fit_no_intent_are_proposed_as_one(api: Api) -> None:
    for number in range(6):
        api.post("/chat", text=f"subscription question number {number}")
    proposals = api.get("/review/proposals")["proposals"]
    assert proposals
    assert proposals[0]["size"] == 6


def test_corrections_that_cannot_be_are_refused(api: Api) -> None:
    bodies: list[tuple[dict[str, Any], tuple[int, str]]] = [
        ({"author": "a", "intent": "refund"}, (422, "data_error")),
        ({"author": "a", "intent": "refund", "text": "x", "message_id": 1}, (422, "data_error")),
        ({"author": "a", "intent": "trak_order", "text": "x"}, (422, "data_error")),
        ({"author": "a", "intent": "refund", "message_id": 9}, (404, "not_found")),
    ]
    for body, expected in bodies:
        assert api.status("POST", "/feedback", json=body) == expected
    bot_message = api.get(f"/conversations/{api.post('/chat', text='refund')['conversation_id']}")[
        "messages"
    ][1]
    body = {"author": "a", "intent": "refund", "message_id": bot_message["id"]}
    assert api.status("POST", "/feedback", json=body) == (404, "not_found")


def test_what_contradicts_the_state_is_a_conflict(api: Api) -> None:
    key = api.post("/chat", text="refund")["conversation_id"]
    release = {"json": {"person": "Ada"}}
    assert api.status("POST", f"/conversations/{key}/release", **release) == (409, "conflict")
    missing = "0" * 32
    assert api.status("GET", f"/conversations/{missing}") == (404, "not_found")
    assert api.status("GET", "/conversations/none") == (422, "invalid_request")
    assert api.status("POST", "/chat", json={"text": "x", "conversation_id": missing}) == (
        404,
        "not_found",
    )


@pytest.mark.parametrize(
    "text", ["🙂" * 50, "שלום, איפה החבילה", "a\u200bb", "x" * 8000, "‮evil‬", "\ud7ff", "<b>&"]
)
def test_any_text_gets_an_answer(api: Api, text: str) -> None:
    reply = api.post("/chat", text=text)
    assert reply["action"] in ("answer", "clarify", "handoff")


@pytest.mark.parametrize("text", ["", "   ", "a\x00b", "x" * 8001, None, 3, ["x"]])
def test_what_is_no_text_is_refused(api: Api, text: Any) -> None:
    for path, body in (("/chat", {"text": text}), ("/classify", {"texts": [text]})):
        assert api.status("POST", path, json=body) == (422, "invalid_request")


def test_half_a_character_is_refused(api: Api) -> None:
    body = b'{"text": "\\ud800 refund"}'
    headers = {"Content-Type": "application/json"}
    assert api.status("POST", "/chat", content=body, headers=headers) == (422, "invalid_request")


def test_the_intents_with_their_answers(api: Api) -> None:
    shown = api.get("/intents")
    assert shown["version"] == "v1"
    names = [one["name"] for one in shown["intents"]]
    assert names == sorted(names)
    track = next(one for one in shown["intents"] if one["name"] == "track_order")
    assert (track["title"], track["examples"]) == ("track an order", 3)
    assert track["answer"].startswith("The tracking page")
    person = next(one for one in shown["intents"] if one["name"] == "talk_to_person")
    assert person["answer"] is None


def test_a_version_that_another_process_promotes_is_served_within_two_seconds(api: Api) -> None:
    stop = False
    seen: list[str] = []

    def ask() -> None:
        while not stop:
            seen.append(api.post("/classify", texts=["refund"])["version"])

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        until(lambda: len(seen) > 5)
        api.pointer.used = "v2"
        until(lambda: seen[-1] == "v2")
        stop = True
        for one in asking:
            one.result()
    assert set(seen) == {"v1", "v2"}


def test_without_a_model_the_desk_says_what_to_do(engine: Engine, tmp_path: Path) -> None:
    api = Api(engine, tmp_path, used=None)
    with api.client:
        assert api.status("POST", "/chat", json={"text": "refund"}) == (503, "not_ready")
        assert api.client.get("/readyz").status_code == 503
        api.pointer.used = "v1"
        until(lambda: api.client.get("/readyz").status_code == 200)
        assert api.post("/chat", text="refund")["action"] == "answer"


def test_each_route_asks_for_its_scope(engine: Engine, tmp_path: Path) -> None:
    api = Api(engine, tmp_path)
    app = build_api(served=[api.served], authenticator=Authenticator(engine, True))
    keys = {
        scope: create_key(engine, name=scope, scopes=[scope], actor="t", now=api.clock.now).secret
        for scope in ("use", "review", "admin")
    }
    key = "0" * 32
    wanted = {
        "use": [
            ("POST", "/classify"), ("POST", "/chat"), ("POST", "/explain"), ("GET", "/intents"),
            ("GET", f"/conversations/{key}"),
        ],
        "review": [
            ("GET", "/conversations"), ("POST", f"/conversations/{key}/takeover"),
            ("POST", f"/conversations/{key}/messages"), ("POST", f"/conversations/{key}/release"),
            ("POST", "/feedback"), ("GET", "/review"), ("GET", "/review/proposals"),
            ("POST", "/review/1"), ("POST", "/check"),
        ],
        "admin": [("POST", "/intents")],
    }  # fmt: skip
    with TestClient(app) as client:
        for scope, routes in wanted.items():
            for method, path in routes:
                url = f"/v1/support{path}"
                assert client.request(method, url).status_code == 401, path
                for held, secret in keys.items():
                    headers = {"Authorization": f"Bearer {secret}"}
                    refused = client.request(method, url, headers=headers).status_code == 403
                    assert refused == (held not in (scope, "admin")), (held, method, path)
    routed = {
        (method, path.removeprefix("/v1/support").replace("{conversation_id}", key))
        for path, operations in app.openapi()["paths"].items()
        if path.startswith("/v1/support")
        for method in map(str.upper, operations)
    }
    told = {route for routes in wanted.values() for route in routes}
    assert {(method, path.replace("{message_id}", "1")) for method, path in routed} == told


def test_actions_and_batches_are_counted(api: Api) -> None:
    api.post("/classify", texts=["refund", "refund", "quantum"])
    told = api.client.get("/metrics").text
    assert 'triptych_support_actions_total{action="answer"} 2.0' in told
    assert 'triptych_support_actions_total{action="handoff"} 1.0' in told
    assert 'triptych_inference_seconds_count{app="support"}' in told


def test_an_unknown_intent_cannot_be_explained(api: Api) -> None:
    body = {"text": "refund", "intent": "nonsense"}
    assert api.status("POST", "/explain", json=body) == (404, "not_found")


def test_a_file_that_cannot_be_read_names_itself_and_no_folder_of_ours(api: Api) -> None:
    files = {"file": ("../../bad.csv", b"")}
    answer = api.client.post("/v1/support/check", files=files)  # empty
    assert answer.status_code == 422
    assert "bad.csv" in answer.json()["message"]
    assert "triptych-check" not in answer.text
