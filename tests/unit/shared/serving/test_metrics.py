from __future__ import annotations

import pytest

from shared.serving.metrics import Metrics

pytestmark = pytest.mark.unit


def test_requests_are_counted_by_template_method_and_status() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.request("/v1/models/{app}", "GET", 200, 0.01)
    metrics.request("unmatched", "BREW", 404, 0.01)
    read = metrics.registry.get_sample_value
    labels = {"route": "/v1/models/{app}", "method": "GET"}
    assert read("triptych_requests_total", {**labels, "status": "200"}) == 3
    assert read("triptych_request_seconds_count", labels) == 3
    other = {"route": "unmatched", "method": "other", "status": "404"}
    assert read("triptych_requests_total", other) == 1


def test_batches_are_measured_by_app() -> None:
    metrics = Metrics()
    metrics.batches_of("support").batch([0.001, 0.2, 0.3], 0.05)
    read = metrics.registry.get_sample_value
    app = {"app": "support"}
    assert read("triptych_batch_texts_sum", app) == 3
    assert read("triptych_queue_seconds_count", app) == 3
    assert read("triptych_inference_seconds_sum", app) == pytest.approx(0.05)


def test_an_app_gets_one_counter_however_often_it_asks() -> None:
    metrics = Metrics()
    for action in ("answer", "answer", "handoff"):
        counter = metrics.counter("triptych_decisions_total", "By action", ["action"])
        counter.labels(action).inc()
    text = metrics.exposition()[0].decode()
    assert 'triptych_decisions_total{action="answer"} 2.0' in text
    with pytest.raises(ValueError, match="triptych_"):
        metrics.counter("decisions", "no prefix")


def test_two_applications_share_nothing() -> None:
    one, two = Metrics(), Metrics()
    one.problem("not_found")
    assert two.registry.get_sample_value("triptych_problems_total", {"error": "not_found"}) is None
