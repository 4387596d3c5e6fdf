"""Traces, by OpenTelemetry's exporter that keeps spans in memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx2
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from shared.errors import SettingsError
from shared.monitoring.delivery import Outgoing, Sent
from shared.monitoring.webhook import WebhookSender
from shared.serving.watching.telemetry import (
    Traces,
    current_trace_id,
    outgoing_headers,
    past_span,
    span,
)

pytestmark = pytest.mark.unit

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Iterator[Traces]:
    made = Traces(exporter=exporter, at_once=True)
    yield made
    made.close()


def by_name(exporter: InMemorySpanExporter) -> dict[str, Any]:
    return {one.name: one for one in exporter.get_finished_spans()}


def test_without_a_trace_nothing_is_made_and_no_kit_imported() -> None:
    program = """
import sys
from shared.serving import application
from shared.serving.batching import micro_batcher as batching
from shared.serving.watching import logs, telemetry
with telemetry.span("nothing"):
    telemetry.past_span("nothing", 0.0, 1.0)
assert telemetry.outgoing_headers() == {} and telemetry.current_trace_id() is None
heavy = ("opentelemetry.sdk", "opentelemetry.exporter")  # FastAPI itself imports the bare API
assert not [name for name in sys.modules if name.startswith(heavy)]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_trace_that_came_is_gone_on_with_and_passed_on(
    traces: Traces, exporter: InMemorySpanExporter
) -> None:
    with traces.request("POST", PARENT), span("inner", texts=3):
        assert current_trace_id() == TRACE
        sent = outgoing_headers()["traceparent"]
    spans = by_name(exporter)
    assert f"{spans['POST'].parent.span_id:016x}" == "00f067aa0ba902b7"
    assert spans["inner"].parent.span_id == spans["POST"].context.span_id
    assert spans["inner"].attributes["texts"] == 3
    assert sent == f"00-{TRACE}-{spans['inner'].context.span_id:016x}-01"
    assert outgoing_headers() == {}


@pytest.mark.parametrize("given", [{}, {"traceparent": "00-zz-1-01"}, {"traceparent": "\n"}])
def test_without_a_valid_parent_a_trace_begins(
    traces: Traces, exporter: InMemorySpanExporter, given: dict[str, str]
) -> None:
    with traces.request("GET", given):
        pass
    (made,) = exporter.get_finished_spans()
    assert made.parent is None
    assert made.resource.attributes["service.name"] == "triptych"


def test_what_is_over_gets_its_own_times(traces: Traces, exporter: InMemorySpanExporter) -> None:
    import time

    began = time.perf_counter() - 2
    with traces.request("GET", {}):
        past_span("queue", began, began + 0.5)
    spans = by_name(exporter)
    queue = spans["queue"]
    assert (queue.end_time - queue.start_time) / 1e9 == pytest.approx(0.5, abs=1e-6)
    before = (spans["GET"].start_time - queue.start_time) / 1e9
    assert before == pytest.approx(2, abs=0.5)


def test_statements_are_spans_without_their_values(
    traces: Traces, exporter: InMemorySpanExporter
) -> None:
    engine = create_engine("sqlite://")
    traces.watch_database(engine)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))  # of no request: no span
        with traces.request("GET", {}):
            connection.execute(text("SELECT :name AS name"), {"name": "Ada Lovelace"})
            with pytest.raises(OperationalError):
                connection.execute(text("SELECT * FROM nowhere"))
    engine.dispose()
    made = [one for one in exporter.get_finished_spans() if one.name == "SELECT"]
    assert [one.status.is_ok for one in made] == [True, False]
    assert made[0].attributes["db.system.name"] == "sqlite"
    assert made[0].attributes["db.query.text"] == "SELECT ? AS name"
    assert "Ada" not in str([dict(one.attributes) for one in made])


class Collector(BaseHTTPRequestHandler):
    """Takes what is sent by OTLP over HTTP, as a collector does."""

    paths: ClassVar[list[str]] = []
    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        gzipped = self.headers.get("Content-Encoding") == "gzip"
        self.bodies.append(gzip.decompress(body) if gzipped else body)
        self.paths.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_traces_go_to_the_endpoint_by_otlp() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        traces = Traces(f"http://127.0.0.1:{server.server_port}/", service="triptych-watcher")
        with traces.request("POST", PARENT):
            pass
        traces.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert Collector.paths == ["/v1/traces"]
    (body,) = Collector.bodies
    assert bytes.fromhex(TRACE) in body
    assert b"triptych-watcher" in body


def test_a_trace_goes_along_with_a_webhook(traces: Traces, exporter: InMemorySpanExporter) -> None:
    seen: list[httpx2.Request] = []

    def receive(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(204)

    message = Outgoing("e1", "https://hooks.test/x", None, {}, datetime(2026, 11, 24, tzinfo=UTC))
    with httpx2.Client(transport=httpx2.MockTransport(receive)) as client:
        send = traces.around("deliver", WebhookSender(client).send)
        assert isinstance(send(message), Sent)
        assert isinstance(WebhookSender(client).send(message), Sent)
    (made,) = exporter.get_finished_spans()
    ids = f"{made.context.trace_id:032x}-{made.context.span_id:016x}"
    assert seen[0].headers["traceparent"].startswith(f"00-{ids}-0")
    assert "traceparent" not in seen[1].headers


def test_a_job_gets_a_trace_of_its_own(traces: Traces, exporter: InMemorySpanExporter) -> None:
    run = traces.around("deliver", lambda number: (number, current_trace_id()))
    number, trace = run(7)
    assert number == 7
    assert f"{by_name(exporter)['deliver'].context.trace_id:032x}" == trace


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"triptych\[tracing\]"):
        Traces("http://127.0.0.1:4318")
