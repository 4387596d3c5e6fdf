from __future__ import annotations

import urllib.request

import pytest

from shared.errors import SettingsError
from shared.serving.watching.metrics import MOST_LABELS, Metrics
from shared.serving.watching.metrics_port import metrics_on_port
from tests.fakes.served_app import FakeServedApp

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


def test_what_models_say_is_counted_and_labels_do_not_grow_for_ever() -> None:
    metrics = Metrics()
    metrics.reading("support", "refund", 0.93)
    for number in range(MOST_LABELS + 5):
        metrics.reading("support", f"intent {number}", 0.5)
    read = metrics.registry.get_sample_value
    assert read("triptych_labels_total", {"app": "support", "label": "refund"}) == 1
    assert read("triptych_labels_total", {"app": "support", "label": "other"}) == 6
    assert read("triptych_confidence_count", {"app": "support"}) == MOST_LABELS + 6
    assert read("triptych_confidence_bucket", {"app": "support", "le": "0.5"}) == MOST_LABELS + 5


def test_gauges_and_histograms_of_apps_are_made_once_and_keep_their_kind() -> None:
    metrics = Metrics()
    assert metrics.gauge("triptych_drift", "Distance", ["app"]) is metrics.gauge(
        "triptych_drift", "Distance", ["app"]
    )
    metrics.histogram("triptych_swap_seconds", "Seconds", buckets=(1, 2)).observe(1.5)
    read = metrics.registry.get_sample_value
    assert read("triptych_swap_seconds_bucket", {"le": "2.0"}) == 1
    with pytest.raises(ValueError, match="Gauge already"):
        metrics.histogram("triptych_drift", "Distance")


def test_the_version_served_is_told_as_it_is_when_asked() -> None:
    metrics, app = Metrics(), FakeServedApp(found=False)
    metrics.serves([app])
    read = metrics.registry.get_sample_value
    assert read("triptych_ready", {"app": "support"}) == 0
    for version in ("v1", "v2"):
        app.promote(version)
        assert read("triptych_model_info", {"app": "support", "version": version}) == 1
    assert read("triptych_model_info", {"app": "support", "version": "v1"}) is None
    assert read("triptych_ready", {"app": "support"}) == 1


def test_each_process_finds_a_port_of_its_own() -> None:
    one, other = Metrics(), Metrics()
    one.problem("not_found")
    with metrics_on_port(one, 19_100) as first, metrics_on_port(other, 19_100) as second:
        assert second > first >= 19_100
        told = [
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
            for port in (first, second)
        ]
    assert 'triptych_problems_total{error="not_found"} 1.0' in told[0]
    assert 'error="not_found"' not in told[1]
    with metrics_on_port(one, first) as again:
        assert again == first


def test_a_foreign_host_is_refused() -> None:
    with (
        pytest.raises(SettingsError, match="TRIPTYCH_METRICS_HOST"),
        metrics_on_port(Metrics(), 19_100, host="203.0.113.1"),
    ):
        pass
