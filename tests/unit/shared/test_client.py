"""The client against a transport that plays a script and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2
import pytest

from shared.client import ApiError, Retries, TriptychClient

pytestmark = pytest.mark.unit

Step = httpx2.Response | Exception

REPLY = {
    "conversation_id": "a" * 32,
    "owner": "bot",
    "message_id": 7,
    "text": "Your parcel is on its way.",
    "action": "answer",
    "intent": "order_status",
    "confidence": 0.97,
    "reason": "sure enough",
}
NO_INTENTS = {"version": "v1", "intents": []}


class Script(httpx2.BaseTransport):
    """Answers with its steps in order; the last one is repeated."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.asked: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.asked.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step


def answer(status: int = 200, body: object = None, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=body, headers=named)


def problem(status: int, error: str, **headers: str) -> httpx2.Response:
    return answer(status, {"error": error, "message": f"{error}!", "details": {"id": 3}}, **headers)


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client_of(waits: list[float]) -> Callable[..., TriptychClient]:
    def make(script: Script, *, key: str | None = None, attempts: int = 3) -> TriptychClient:
        return TriptychClient(
            "http://desk.test/",
            key,
            transport=script,
            retries=Retries(attempts=attempts, first_wait=1.0, longest_wait=20.0),
            sleep=waits.append,
            jitter=lambda: 1.0,
        )

    return make


def test_a_message_goes_out_and_its_reply_comes_back_typed(client_of) -> None:
    script = Script(answer(200, REPLY))
    reply = client_of(script, key="tk_1_secret").chat("where is it?", "a" * 32)
    (request,) = script.asked
    assert (request.method, request.url.path) == ("POST", "/v1/support/chat")
    assert json.loads(request.content) == {
        "text": "where is it?",
        "conversation_id": "a" * 32,
    }
    assert request.headers["authorization"] == "Bearer tk_1_secret"
    assert (reply.action, reply.confidence, reply.options) == ("answer", 0.97, [])


def test_without_a_key_no_authorization_is_sent(client_of) -> None:
    script = Script(answer(200, NO_INTENTS))
    client_of(script).intents()
    assert "authorization" not in script.asked[0].headers


def test_a_field_that_a_newer_server_adds_is_passed_over(client_of) -> None:
    script = Script(answer(200, {**NO_INTENTS, "colour": "blue"}))
    assert client_of(script).intents().version == "v1"


def test_a_problem_becomes_an_error_that_carries_it(client_of) -> None:
    script = Script(problem(404, "not_found"))
    with pytest.raises(ApiError) as caught:
        client_of(script).conversation("b" * 32)
    error = caught.value
    assert (error.status, error.problem.error, error.message) == (404, "not_found", "not_found!")
    assert error.details == {"id": 3}
    assert not error.unreachable
    assert len(script.asked) == 1


def test_an_error_page_of_a_proxy_is_still_an_api_error(client_of) -> None:
    script = Script(httpx2.Response(502, html="<h1>Bad gateway</h1>"))
    with pytest.raises(ApiError, match=r"GET /v1/support/intents answered 502") as caught:
        client_of(script).intents()
    assert caught.value.problem.error == "http_502"


def test_an_answer_of_another_shape_says_so(client_of) -> None:
    script = Script(answer(200, {"hello": "world"}))
    with pytest.raises(ApiError, match="something other than a Intents"):
        client_of(script).intents()


def test_a_busy_server_is_asked_again_with_doubling_waits(client_of, waits) -> None:
    script = Script(problem(503, "overloaded"), problem(429, "slow"), answer(200, NO_INTENTS))
    assert client_of(script).intents().version == "v1"
    assert waits == [1.0, 2.0]


def test_it_gives_up_after_the_last_attempt(client_of, waits) -> None:
    script = Script(problem(503, "overloaded"))
    with pytest.raises(ApiError, match="overloaded"):
        client_of(script, attempts=4).intents()
    assert len(script.asked) == 4
    assert waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"retry_after": "7"}, [7.0]),
        ({"retry_after": "0"}, [1.0]),
        (
            {
                "retry_after": "Tue, 24 Nov 2026 10:00:09 GMT",
                "date": "Tue, 24 Nov 2026 10:00:00 GMT",
            },
            [9.0],
        ),
        ({"retry_after": "soon"}, [1.0]),
    ],
    ids=["seconds", "sooner than the back-off", "a date", "nonsense"],
)
def test_retry_after_is_respected(client_of, waits, headers, waited) -> None:
    script = Script(problem(503, "overloaded", **headers), answer(200, NO_INTENTS))
    client_of(script).intents()
    assert waits == waited


def test_a_longer_retry_after_than_we_would_wait_is_raised_at_once(client_of, waits) -> None:
    script = Script(problem(503, "overloaded", retry_after="3600"))
    with pytest.raises(ApiError):
        client_of(script).intents()
    assert (len(script.asked), waits) == (1, [])


@pytest.mark.parametrize("status", [503, 429])
def test_what_changes_something_is_not_sent_twice_to_a_busy_server(client_of, status) -> None:
    script = Script(problem(status, "busy"))
    with pytest.raises(ApiError):
        client_of(script).chat("hello")
    assert len(script.asked) == 1


def test_what_changes_something_is_not_sent_twice_when_the_answer_is_lost(client_of) -> None:
    script = Script(httpx2.ReadTimeout("no answer"))
    with pytest.raises(ApiError) as caught:
        client_of(script).chat("hello")
    assert len(script.asked) == 1
    assert (caught.value.unreachable, caught.value.problem.error) == (True, "timeout")


def test_what_never_left_may_be_sent_again_whatever_it_is(client_of) -> None:
    script = Script(httpx2.ConnectError("refused"), answer(200, REPLY))
    assert client_of(script).chat("hello").message_id == 7
    assert len(script.asked) == 2


def test_classification_is_repeated_though_it_is_a_post(client_of) -> None:
    body = {"version": "v1", "results": []}
    script = Script(httpx2.ReadError("reset"), problem(503, "overloaded"), answer(200, body))
    assert client_of(script).classify(["hello"]).results == []
    assert len(script.asked) == 3


def test_an_api_that_is_not_there_is_named(client_of) -> None:
    script = Script(httpx2.ConnectError("refused"))
    with pytest.raises(ApiError, match=r"nothing answers at http://desk\.test") as caught:
        client_of(script).models("support")
    assert caught.value.details["cause"] == "ConnectError: refused"
    assert len(script.asked) == 3


def test_readiness_is_asked_once_and_a_503_is_an_answer(client_of) -> None:
    script = Script(problem(503, "not_ready"))
    assert client_of(script).ready().status == "not_ready!"
    assert len(script.asked) == 1
    ready = Script(answer(200, {"status": "ready", "versions": {"support": "v1"}}))
    assert client_of(ready).ready().versions == {"support": "v1"}


def test_a_text_that_the_api_would_refuse_is_refused_here(client_of) -> None:
    script = Script(answer(200, REPLY))
    with pytest.raises(ApiError, match="text: ") as caught:
        client_of(script).chat("   ")
    assert (caught.value.status, caught.value.problem.error) == (422, "invalid_request")
    assert script.asked == []


def test_a_name_in_a_path_cannot_leave_it(client_of) -> None:
    script = Script(problem(404, "not_found"))
    with pytest.raises(ApiError):
        client_of(script).model("support", "../../keys?x=1")
    assert script.asked[0].url.raw_path == b"/v1/models/support/..%2F..%2Fkeys%3Fx%3D1"


def test_a_file_goes_up_with_only_the_columns_that_were_named(client_of) -> None:
    body = {
        "rows": 1,
        "rejected": 0,
        "classes": 1,
        "warnings": 0,
        "findings": [],
        "seconds": 0.1,
    }
    script = Script(answer(200, body))
    report = client_of(script).check("d.csv", b"text,intent\nhi,greet\n", label_column="intent")
    sent = script.asked[0].content
    assert report.rows == 1
    assert b'name="file"; filename="d.csv"' in sent
    assert b'name="label_column"' in sent
    assert b'name="text_column"' not in sent


def test_questions_without_a_value_are_left_out_of_the_address(client_of) -> None:
    script = Script(answer(200, {"conversations": []}))
    client = client_of(script)
    client.conversations(limit=5)
    client.conversations("waiting")
    assert [str(request.url.query, "ascii") for request in script.asked] == [
        "limit=5",
        "owner=waiting&limit=50",
    ]


@pytest.mark.parametrize(
    ("call", "method", "path", "body"),
    [
        (
            lambda c: c.promote("support", "v2", author="Ada", force=True),
            "POST",
            "/v1/models/support/v2/promote",
            {"author": "Ada", "force": True},
        ),
        (
            lambda c: c.rollback("support", author="Ada"),
            "POST",
            "/v1/models/support/rollback",
            {"author": "Ada"},
        ),
        (
            lambda c: c.review(5, None, author="Ada"),
            "POST",
            "/v1/support/review/5",
            {"author": "Ada", "intent": None},
        ),
        (
            lambda c: c.take_over("c" * 32, "Ada"),
            "POST",
            f"/v1/support/conversations/{'c' * 32}/takeover",
            {"person": "Ada"},
        ),
        (
            lambda c: c.write("c" * 32, "Ada", "hello"),
            "POST",
            f"/v1/support/conversations/{'c' * 32}/messages",
            {"person": "Ada", "text": "hello"},
        ),
        (
            lambda c: c.release("c" * 32, "Ada", close=True),
            "POST",
            f"/v1/support/conversations/{'c' * 32}/release",
            {"person": "Ada", "close": True},
        ),
        (
            lambda c: c.send_feedback("refund", author="Ada", message_id=4),
            "POST",
            "/v1/support/feedback",
            {"author": "Ada", "intent": "refund", "text": None, "message_id": 4, "note": ""},
        ),
        (
            lambda c: c.add_intent(
                "gift_wrap", answer="Yes.", examples=["a", "b", "c"], author="A"
            ),
            "POST",
            "/v1/support/intents",
            {"name": "gift_wrap", "answer": "Yes.", "examples": ["a", "b", "c"], "author": "A"},
        ),
    ],
    ids=["promote", "rollback", "review", "takeover", "write", "release", "feedback", "add intent"],
)
def test_each_change_is_one_request(client_of, call, method, path, body) -> None:
    script = Script(problem(409, "conflict"))
    with pytest.raises(ApiError, match="conflict"):
        call(client_of(script))
    (request,) = script.asked
    assert (request.method, request.url.path, json.loads(request.content)) == (method, path, body)


def test_the_report_comes_as_it_is(client_of) -> None:
    script = Script(httpx2.Response(200, html="<html>é</html>"))
    assert client_of(script).model_report("support", "v1") == "<html>é</html>"
    assert script.asked[0].url.path == "/v1/models/support/v1/report.html"


def test_a_closed_client_sends_nothing(client_of) -> None:
    script = Script(answer(200, NO_INTENTS))
    with client_of(script) as client:
        client.intents()
    with pytest.raises(RuntimeError, match="closed"):
        client.intents()
    assert len(script.asked) == 1


def test_a_call_is_tried_at_least_once() -> None:
    with pytest.raises(ValueError, match="at least once"):
        Retries(attempts=0)
