"""Prometheus metrics of one application: its own registry, nothing global.

Names and labels follow https://prometheus.io/docs/practices/naming/. Labels come from closed sets
(route templates, known methods, status codes), so that no client can make them grow.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counts and times of the application. Apps add counters of their own by ``counter``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._own: dict[str, Counter] = {}
        self._lock = threading.Lock()
        self._requests = Counter(
            "triptych_requests_total",
            "Requests by route template, method and status",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "triptych_request_seconds",
            "Seconds from the first byte of a request to the end of its answer",
            ["route", "method"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._problems = Counter(
            "triptych_problems_total", "Errors answered, by kind", ["error"], registry=self.registry
        )
        self._ready = Gauge(
            "triptych_ready", "1 when the app can answer", ["app"], registry=self.registry
        )
        self._queue = Histogram(
            "triptych_queue_seconds",
            "Seconds that a text waits for its batch",
            ["app"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch = Histogram(
            "triptych_batch_texts",
            "Texts in a batch",
            ["app"],
            buckets=_SIZES,
            registry=self.registry,
        )
        self._inference = Histogram(
            "triptych_inference_seconds",
            "Seconds that the model takes for a batch",
            ["app"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request that has been answered."""
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._latency.labels(route, known).observe(seconds)

    def problem(self, error: str) -> None:
        """Count one error that was answered."""
        self._problems.labels(error).inc()

    def ready(self, app: str, value: bool) -> None:
        """Note whether an app is ready."""
        self._ready.labels(app).set(int(value))

    def batches_of(self, app: str) -> BatchMetrics:
        """What a MicroBatcher of ``app`` reports to."""
        return BatchMetrics(
            self._queue.labels(app), self._batch.labels(app), self._inference.labels(app)
        )

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> Counter:
        """An app's own counter, made at the first call and the same one afterwards.

        ``name`` begins with ``triptych_`` and ends with ``_total``.
        """
        if not (name.startswith("triptych_") and name.endswith("_total")):
            raise ValueError(f"{name!r} should read triptych_..._total")
        with self._lock:
            if name not in self._own:
                self._own[name] = Counter(name, description, labels, registry=self.registry)
            return self._own[name]

    def exposition(self) -> tuple[bytes, str]:
        """All metrics in Prometheus's text format, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class BatchMetrics:
    """Queue delay, size and inference time of the batches of one app."""

    def __init__(self, queue: Any, size: Any, inference: Any) -> None:
        self._queue = queue
        self._size = size
        self._inference = inference

    def batch(self, waited: Sequence[float], inference_seconds: float) -> None:
        """Note one batch: the seconds that each text waited, and those of the model."""
        for seconds in waited:
            self._queue.observe(seconds)
        self._size.observe(len(waited))
        self._inference.observe(inference_seconds)
