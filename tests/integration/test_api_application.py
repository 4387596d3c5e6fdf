"""The application around the apps: health, keys, errors, headers, metrics, on both databases."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from shared.api.shapes import Health, Problem
from shared.errors import StorageError
from tests.fakes.assembled_api import AssembledApi, assemble, eventually
from tests.fakes.served_app import FakeServedApp

pytestmark = pytest.mark.integration


@pytest.fixture
def api(tmp_path: Path) -> AssembledApi:
    return assemble(tmp_path)


@pytest.fixture
def client(api: AssembledApi) -> Iterator[TestClient]:
    with api.client() as made:
        assert eventually(lambda: api.served.ready)
        yield made


def test_it_lives_before_it_is_ready(tmp_path: Path) -> None:
    served = FakeServedApp()
    served.gate.clear()
    api = assemble(tmp_path, served=served)
    with api.client(None) as client:
        assert Health.model_validate(client.get("/healthz").json()).status == "ok"
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "loading" in Problem.model_validate(answer.json()).details["apps"]["support"]
        served.gate.set()
        assert eventually(lambda: client.get("/readyz").status_code == 200)
        assert client.get("/readyz").json()["versions"] == {"support": served.version}
    assert served.stops == 1


def test_without_a_version_it_serves_and_says_which_command_to_run(tmp_path: Path) -> None:
    api = assemble(tmp_path, served=FakeServedApp(found=False))
    with api.client(None) as client:
        assert client.get("/healthz").json() == {"status": "ok", "versions": {"support": None}}
        assert eventually(lambda: "triptych train support" in client.get("/readyz").text)
        assert client.get("/readyz").status_code == 503
        api.served.promote("20260102T000000Z-11111111")
        assert client.get("/readyz").json()["versions"]["support"] == api.served.version


def test_keys_and_scopes_on_both_databases(tmp_path: Path, database_url: str) -> None:
    api = assemble(tmp_path, url=database_url)
    use = {"texts": ["hello"]}
    note = {"text": "hello", "author": "Ada"}
    statuses = {}
    for scope in (None, "use", "review", "admin"):
        with api.client(scope) as client:
            statuses[scope] = (
                client.post("/v1/support/measure", json=use).status_code,
                client.post("/v1/support/notes", json={**note, "text": str(scope)}).status_code,
                client.post("/v1/models/support/rollback", json={"author": "A"}).status_code,
            )
    assert statuses == {
        None: (401, 401, 401),
        "use": (200, 403, 403),
        "review": (403, 200, 403),
        "admin": (200, 200, 404),
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer tk_x_y"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "\xff\xfe"},
        {"X-API-Key": "tk_0000000000000000_\xff"},
        {"X-API-Key": "x" * 5000},
    ],
)
def test_a_wrong_key_is_a_401(api: AssembledApi, headers: dict[str, str]) -> None:
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    with api.client(None) as client:
        answer = client.post("/v1/support/measure", json={"texts": ["a"]}, headers=sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert Problem.model_validate(answer.json()).error == "not_authenticated"


def test_the_other_header_works_too(api: AssembledApi) -> None:
    with api.client(None) as client:
        answer = client.post(
            "/v1/support/measure",
            json={"texts": ["a", "bcd"], "times": 2},
            headers={"X-API-Key": api.keys["use"]},
        )
    assert answer.json() == {"lengths": [2, 6]}


def test_without_keys_only_this_machine_is_answered(tmp_path: Path) -> None:
    api = assemble(tmp_path, require_keys=False, loopback_only=True)
    body = {"texts": ["a"]}
    with TestClient(api.app, base_url="http://127.0.0.1:8000") as client:
        assert client.post("/v1/support/measure", json=body).status_code == 200
        origin = {"Origin": "https://evil.example"}
        refused = client.post("/v1/support/measure", json=body, headers=origin)
        assert (refused.status_code, refused.json()["error"]) == (403, "not_allowed")
        assert refused.headers["x-content-type-options"] == "nosniff"
    with TestClient(api.app, base_url="http://rebound.example") as client:
        assert client.get("/healthz").status_code == 403


def test_every_error_is_a_problem(client: TestClient) -> None:
    answers = [
        client.get("/nowhere"),
        client.get("/v1/support/measure"),
        client.get("/healthz/"),
        client.post("/v1/support/measure", json={"texts": []}),
        client.post("/v1/support/measure", content=b"{"),
        client.post("/v1/support/measure", json={"texts": ["a"], "more": 1}),
        client.get("/v1/support/notes/7"),
        client.get("/v1/models/unknown/x"),
        client.post("/v1/support/busy"),
    ]
    told = [(answer.status_code, Problem.model_validate(answer.json()).error) for answer in answers]
    assert told == [
        (404, "not_found"),
        (405, "method_not_allowed"),
        (404, "not_found"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (404, "not_found"),
        (404, "not_found"),
        (503, "overloaded"),
    ]
    assert answers[1].headers["allow"] == "POST"
    assert answers[-1].headers["retry-after"] == "7"
    assert "body.more" in answers[5].json()["message"]


def test_a_shape_error_does_not_repeat_the_message(client: TestClient) -> None:
    secret = "card 4111 1111 1111 1111"
    answer = client.post("/v1/support/measure", json={"texts": secret})
    assert answer.status_code == 422
    assert "4111" not in answer.text


def test_a_defect_is_a_500_with_its_id_in_the_log(
    api: AssembledApi, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    api.served.failure = ZeroDivisionError("inside")
    with caplog.at_level(logging.ERROR):
        answer = client.post(
            "/v1/support/measure", json={"texts": ["a"]}, headers={"X-Request-ID": "abc-123"}
        )
    problem = Problem.model_validate(answer.json())
    assert (answer.status_code, problem.error) == (500, "internal_error")
    assert problem.details == {"request_id": "abc-123"}
    assert answer.headers["x-request-id"] == "abc-123"
    assert "abc-123" in caplog.text
    assert "inside" not in answer.text


@pytest.mark.parametrize(
    ("failure", "status", "error"),
    [
        (StorageError("the disk is full"), 500, "storage_error"),
        (OperationalError("SELECT 1", {}, Exception("locked")), 503, "storage_error"),
    ],
)
def test_a_failing_database_is_told_apart(
    api: AssembledApi, client: TestClient, failure: Exception, status: int, error: str
) -> None:
    api.served.failure = failure
    answer = client.post("/v1/support/measure", json={"texts": ["a"]})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert "SELECT" not in answer.text


def test_every_answer_has_an_id_and_security_headers(client: TestClient) -> None:
    seen = set()
    for path in ("/healthz", "/nowhere", "/metrics", "/openapi.json"):
        answer = client.get(path, headers={"X-Request-ID": "not\tvalid"})
        seen.add(answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert len(seen) == 4


def test_bodies_have_a_limit_and_uploads_a_larger_one(client: TestClient) -> None:
    large = b"x" * (1024 * 1024 + 1)
    stated = client.post("/v1/support/measure", content=large)
    streamed = client.post(
        "/v1/support/measure",
        content=iter([large[:500_000], large[:500_000], large[:500_000]]),
        headers={"Content-Type": "application/json"},
    )
    for answer in (stated, streamed):
        assert answer.status_code == 413
        assert Problem.model_validate(answer.json()).error == "body_too_large"
    upload = client.post("/v1/support/check", files={"file": ("a.csv", large)})
    assert upload.json() == {"name": "a.csv", "size": len(large), "column": None}
    too_large = client.post("/v1/support/check", files={"file": ("a.csv", large * 8)})
    assert too_large.status_code == 413


def test_metrics_tell_routes_statuses_and_errors(api: AssembledApi, client: TestClient) -> None:
    for number in (1, 2, 3):
        client.get(f"/v1/support/notes/{number}")
    client.get("/wp-login.php")
    assert api.served.metrics is not None
    api.served.metrics.counter("triptych_measured_total", "Own").inc()
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    route = 'route="/v1/support/notes/{number}",status="404"'
    assert f'triptych_requests_total{{method="GET",{route}}} 3.0' in lines
    unmatched = 'route="unmatched",status="404"'
    assert f'triptych_requests_total{{method="GET",{unmatched}}} 1.0' in lines
    assert 'triptych_problems_total{error="not_found"} 4.0' in lines
    assert 'triptych_ready{app="support"} 1.0' in lines
    assert "triptych_measured_total 1.0" in lines


def test_the_document_holds_every_answer(api: AssembledApi, client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    statuses = {
        (method, path): set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    everywhere = {"200", "401", "403", "422", "429", "500", "503", "504"}
    assert statuses["post", "/v1/support/measure"] == everywhere | {"400", "408", "413"}
    assert statuses["post", "/v1/support/notes"] == everywhere | {"400", "408", "409", "413"}
    assert statuses["get", "/v1/support/notes/{number}"] == everywhere | {"404"}
    assert statuses["get", "/healthz"] == {"200", "500"}
    assert statuses["get", "/readyz"] == {"200", "500", "503"}
    assert "HTTPValidationError" not in str(document)
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyHeader"}


def test_the_document_of_an_open_server_asks_for_no_key(tmp_path: Path) -> None:
    api = assemble(tmp_path, require_keys=False)
    document = api.app.openapi()
    assert "security" not in document["paths"]["/v1/support/measure"]["post"]
    assert "401" not in document["paths"]["/v1/support/measure"]["post"]["responses"]
    assert "securitySchemes" not in document["components"]
