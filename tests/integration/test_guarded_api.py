"""The guards of the assembled API: rates, guesses, times, origins, the audit log, secrets."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi.testclient import TestClient
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError

from apps.api import create_app
from shared.api.shapes import AuditLog, Problem
from shared.errors import DataError
from shared.serving.guards.keys import create_key
from shared.serving.guards.request_head import BoundedHead
from shared.serving.guards.secret_masking import Masked
from shared.serving.watching.logs import OneLine
from shared.settings import Settings
from shared.storage.audit import MOST_LINES, act_as, acting, read_audit, record
from shared.storage.engine import open_database
from shared.storage.finance_tables import alert_targets
from tests.fakes.assembled_api import NOW, AssembledApi, assemble
from tests.fakes.loopback import served
from tests.fakes.served_app import FakeServedApp

pytestmark = pytest.mark.integration
MEASURE = "/v1/support/measure"
BODY = {"texts": ["a"]}


def assembled(home: Path, **settings: Any) -> AssembledApi:
    """As ``assemble``, with settings of its own."""
    api = assemble(home)
    own = Settings(home=home, **settings)
    fake = FakeServedApp()
    app = create_app(
        own,
        require_keys=True,
        served=(lambda settings, engine, registry: fake,),
        clock=lambda: NOW,
    )
    return AssembledApi(app, fake, api.keys, own)


# Rates


def test_a_key_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    api = assembled(tmp_path, rate_limit="3/hour")
    with api.client("use") as client:
        answers = [client.post(MEASURE, json=BODY) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        remaining = [answer.headers["ratelimit-remaining"] for answer in answers]
        assert remaining == ["2", "1", "0", "0"]
        refused = answers[-1]
        assert Problem.model_validate(refused.json()).error == "too_many_requests"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["ratelimit-policy"] == "3;w=3600"
        assert client.get("/healthz").status_code == 200
    with api.client("admin") as client:
        assert client.post(MEASURE, json=BODY).status_code == 200


def test_the_rate_of_a_key_wins(tmp_path: Path) -> None:
    api = assembled(tmp_path, rate_limit="100/hour")
    engine = open_database(api.settings.database)
    made = create_key(engine, name="s", scopes=["use"], actor="t", now=NOW, rate_limit="1/hour")
    engine.dispose()
    with api.client(None) as client:
        sent = {"X-API-Key": made.secret}
        statuses = [client.post(MEASURE, json=BODY, headers=sent).status_code for _ in range(2)]
    assert statuses == [200, 429]


def test_keys_cannot_be_guessed_fast(tmp_path: Path) -> None:
    api = assembled(tmp_path, guess_limit="5/hour")
    good = {"X-API-Key": api.keys["use"]}
    with api.client(None) as client:
        assert client.post(MEASURE, json=BODY, headers=good).status_code == 200
        guesses = [
            client.post(MEASURE, json=BODY, headers={"X-API-Key": f"tk_{number:016x}_x"})
            for number in range(8)
        ]
        statuses = [answer.status_code for answer in guesses]
        assert statuses == [401] * 5 + [429] * 3
        assert len({answer.json()["message"] for answer in guesses[:5]}) == 1
        assert client.post(MEASURE, json=BODY, headers=good).status_code == 200
        assert client.post(MEASURE, json=BODY).status_code == 401, "no key is no guess"


# Times


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[tuple[str, int]]:
    class Impatient(BoundedHead):
        head_seconds = 0.3
        head_bytes = 20_000

    api = assembled(tmp_path, upload_seconds=0.4)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host, port = listener.getsockname()
        config = uvicorn.Config(api.app, log_level="warning", ws="none", http=Impatient)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield host, port
        server.should_exit = True
        thread.join(timeout=10)


def dripped(address: tuple[str, int], head: bytes, drip: bytes) -> bytes:
    """What the server says to a client that sends a drop at a time, until it hangs up."""
    answer = b""
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(head)
        client.settimeout(0.05)
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            try:
                part = client.recv(65_536)
                answer += part
                if not part:
                    return answer
            except TimeoutError:
                pass
            except ConnectionResetError:  # it hung up while we were sending
                return answer
            try:
                client.sendall(drip)
            except OSError:
                return answer
    raise AssertionError("the connection was held open")


def test_a_client_that_drips_is_hung_up_on(slow_server: tuple[str, int]) -> None:
    head = dripped(slow_server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n")
    assert head == b"" or head.startswith(b"HTTP/1.1 408")
    post = b"POST /v1/support/measure HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"
    upload = dripped(slow_server, post, b" ")
    assert upload == b"" or upload.startswith((b"HTTP/1.1 401", b"HTTP/1.1 408"))
    assert dripped(slow_server, b"", b"").startswith(b"HTTP/1.1 408")


def test_headers_without_end_are_refused(slow_server: tuple[str, int]) -> None:
    endless = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-A: bbbbbbbbbbbbbbbbbbbbbbb\r\n" * 2_000
    answer = dripped(slow_server, endless, b"X-A: b\r\n")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")


def test_an_upload_that_drips_is_closed(tmp_path: Path) -> None:
    api = assembled(tmp_path, upload_seconds=0.4)
    with served(api.app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        head = (
            "POST /v1/support/measure HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"X-API-Key: {api.keys['use']}\r\nContent-Length: 5000\r\n\r\n"
        )
        answer = dripped((host, int(port)), head.encode(), b" ")
        assert answer == b"" or (answer.startswith(b"HTTP/1.1 408") and b"body_too_slow" in answer)
        assert httpx2.get(f"{url}/healthz").status_code == 200


def test_an_answer_that_takes_too_long_is_a_problem(tmp_path: Path) -> None:
    api = assembled(tmp_path, request_seconds=0.2)
    release = threading.Event()

    class Slow(dict[int, Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            release.wait(10)
            return default

    api.served.notes = Slow()
    with served(api.app) as url, httpx2.Client(base_url=url) as client:
        headers = {"X-API-Key": api.keys["use"]}
        answer = client.get("/v1/support/notes/1", headers=headers)
        release.set()
        assert answer.status_code == 504
        assert Problem.model_validate(answer.json()).error == "took_too_long"
        assert answer.headers["x-request-id"]
        assert client.get("/healthz").status_code == 200


# Origins


def preflight(client: TestClient, origin: str) -> httpx2.Response:
    return client.options(  # type: ignore[return-value]
        MEASURE,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )


def test_no_other_origin_is_let_in_by_default(tmp_path: Path) -> None:
    api = assembled(tmp_path)
    with api.client("use") as client:
        assert preflight(client, "https://shop.example").status_code == 405
        answer = client.post(MEASURE, json=BODY, headers={"Origin": "https://shop.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_origin_that_is_named_is_let_in_and_no_other(tmp_path: Path) -> None:
    api = assembled(tmp_path, cors_origins="https://shop.example, http://localhost:3000")
    with api.client("use") as client:
        let_in = preflight(client, "https://shop.example")
        assert let_in.status_code == 200
        assert let_in.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-credentials" not in let_in.headers
        for other in ("https://evil.example", "https://shop.example.evil.example", "null"):
            assert preflight(client, other).status_code == 400
            answer = client.post(MEASURE, json=BODY, headers={"Origin": other})
            assert answer.headers.get("access-control-allow-origin") is None


# The audit log


def test_each_change_over_http_bears_the_key_it_came_with(tmp_path: Path) -> None:
    api = assembled(tmp_path)
    engine = open_database(api.settings.database)
    router = api.app.router

    from fastapi import Depends

    from shared.serving.guards.auth import require

    def change() -> None:
        with engine.begin() as connection:
            record(connection, actor="Ada", action="tested", details={}, at=NOW)

    router.add_api_route(
        "/v1/change", change, methods=["POST"], dependencies=[Depends(require("use"))]
    )
    with api.client("review") as client:
        assert client.post("/v1/change").status_code == 403
    with api.client("use") as client:
        assert client.post("/v1/change").status_code == 200
    (line,) = read_audit(engine, action="tested")
    engine.dispose()
    assert (line.actor, line.details["by_key_name"]) == ("Ada", "use")
    assert api.keys["use"].startswith(f"tk_{line.details['by_key']}_")


def test_the_log_is_read_by_administrators(tmp_path: Path) -> None:
    api = assembled(tmp_path)
    for scope in (None, "use", "review"):
        with api.client(scope) as client:
            assert client.get("/v1/audit").status_code in (401, 403)
    with api.client() as client:
        first = AuditLog.model_validate_json(client.get("/v1/audit", params={"limit": 2}).content)
        assert [entry.action for entry in first.entries] == ["key created", "key created"]
        assert first.before == first.entries[-1].id
        rest = client.get("/v1/audit", params={"before": first.before, "limit": 2}).json()
        assert len(rest["entries"]) == 1
        assert rest["before"] is None
        assert client.get("/v1/audit", params={"actor": "nobody"}).json()["entries"] == []
        later = (NOW + timedelta(days=1)).isoformat()
        assert client.get("/v1/audit", params={"since": later}).json()["entries"] == []
        assert client.get("/v1/audit", params={"since": "2026-01-01T00:00:00"}).status_code == 422
        told = client.get("/v1/audit").text
    assert all(key.split("_", 2)[2] not in told for key in api.keys.values())


def test_a_tenants_administrator_sees_lines_of_that_tenant_alone(tmp_path: Path) -> None:
    api = assembled(tmp_path)
    engine = open_database(api.settings.database)
    made = create_key(engine, name="b", scopes=["admin"], actor="t", now=NOW, tenant="shop-b")
    engine.dispose()
    with api.client(None) as client:
        seen = client.get("/v1/audit", headers={"X-API-Key": made.secret}).json()["entries"]
    assert [entry["details"]["tenant"] for entry in seen] == ["shop-b"]


def test_lines_are_found_on_both_databases(engine: Engine) -> None:
    with engine.begin() as connection:
        record(connection, actor="Ada", action="key created", details={"key": "1"}, at=NOW)
        with acting():
            act_as("0123", "the_shop")
            later = NOW + timedelta(hours=1)
            details = {"tenant": "shop-b"}
            record(connection, actor="Bob", action="refit", details=details, at=later)
        record(connection, actor="100%", action="x" * 80, details={}, at=NOW)
    assert [line.actor for line in read_audit(engine)] == ["100%", "Bob", "Ada"]
    assert [line.actor for line in read_audit(engine, actor="aDa")] == ["Ada"]
    assert [line.actor for line in read_audit(engine, actor="the_shop")] == ["Bob"]
    assert [line.actor for line in read_audit(engine, actor="%")] == ["100%"]
    assert [line.actor for line in read_audit(engine, action="KEY")] == ["Ada"]
    assert [line.actor for line in read_audit(engine, tenant="shop-b")] == ["Bob"]
    assert [line.actor for line in read_audit(engine, since=later)] == ["Bob"]
    assert [line.actor for line in read_audit(engine, limit=1)] == ["100%"]
    assert read_audit(engine, since=datetime(2030, 1, 1, tzinfo=UTC)) == []
    for limit in (0, MOST_LINES + 1):
        with pytest.raises(DataError):
            read_audit(engine, limit=limit)


# Secrets


def test_no_secret_of_an_address_stands_in_the_audit_log(sqlite_engine: Engine) -> None:
    address = "https://hooks.slack.com/services/T0/B0/abcdefgh"
    feed = "https://ann:hunter2@feed.example/rss?token=abcdefgh"
    with sqlite_engine.begin() as connection:
        details = {"address": address, "url": feed, "stories": 3}
        record(connection, actor="Ada", action="feed_added", details=details, at=NOW)
    (line,) = read_audit(sqlite_engine)
    assert "abcdefgh" not in str(line.details)
    assert "hunter2" not in str(line.details)
    assert line.details["stories"] == 3


def test_an_error_of_the_database_repeats_no_secret(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a-webhook-secret-of-thirty-two-bytes"
    row = {
        "id": "1" * 32,
        "channel": "webhook",
        "address": "https://hook.example/x",
        "secret": secret,
        "enabled": True,
        "created_at": NOW,
    }
    with pytest.raises(IntegrityError) as caught, engine.begin() as connection:
        connection.execute(insert(alert_targets), [row, row])
    with caplog.at_level(logging.ERROR):
        logging.getLogger("test").error("failed", exc_info=caught.value)
    assert secret not in str(caught.value)
    assert secret not in caplog.text


def test_no_key_stands_in_what_the_server_logs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = assembled(tmp_path)
    secret = api.keys["use"].split("_", 2)[2]
    with caplog.at_level(logging.DEBUG), api.client("use") as client:
        assert client.post(MEASURE, json=BODY).status_code == 200
        api.served.failure = ZeroDivisionError("inside")
        assert client.post(MEASURE, json=BODY).status_code == 500
        assert client.post(MEASURE, json=BODY, headers={"X-API-Key": secret}).status_code == 500
        for name in ("X-Request-ID", "User-Agent"):
            client.post(MEASURE, json=BODY, headers={name: api.keys["use"]})
        client.get(f"/v1/support/notes/{api.keys['use']}")
    assert caplog.records
    written = Masked(OneLine())  # as `triptych serve` writes
    told = [written.format(one) for one in caplog.records if not one.name.startswith("httpx")]
    assert not [line for line in told if secret in line]


def test_nobody_writes_a_line_into_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = assembled(tmp_path)
    forged = "2026-01-01 00:00:00 INFO all is well"
    with caplog.at_level(logging.DEBUG), served(api.app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        head = (
            f"GET /%0d%0a{forged.replace(' ', '%20')} HTTP/1.1\r\nHost: x\r\n"
            f"X-Request-ID: a%0ab\r\nUser-Agent: x\t{forged}\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(head.encode())
            assert client.recv(65_536).startswith(b"HTTP/1.1 404")
    formatter = OneLine()
    lines = [line for one in caplog.records for line in formatter.format(one).splitlines()]
    assert not [line for line in lines if line.startswith(forged)]
