"""Prometheus metrics of one application: its own registry, nothing global.

Names and labels follow https://prometheus.io/docs/practices/naming/. Labels come from closed sets
(route templates, known methods, status codes, a model's labels), so that no client can make them
grow. docs/monitoring.md lists them all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from shared.serving.watching.stored_gauges import ReadGauges, StoredGauges

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
MOST_LABELS = 500
"""Labels of one app that are counted by name; later ones count as ``other``."""

_Own = TypeVar("_Own", Counter, Gauge, Histogram)


class Served(Protocol):
    """What is told of an app: ``shared.serving.served.ServedApp`` is one."""

    @property
    def name(self) -> str:
        """The app's name."""
        ...

    @property
    def ready(self) -> bool:
        """Whether requests can be answered."""
        ...

    @property
    def version(self) -> str | None:
        """The model version that answers."""
        ...


class Metrics:
    """Counts and times of the application.

    Apps add their own by ``counter``, ``gauge``, ``histogram``, and ``stored`` for what stands in
    the database.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._own: dict[str, Any] = {}
        self._stored: StoredGauges | None = None
        self._labels: dict[str, set[str]] = {}
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
        self.in_flight = Gauge(
            "triptych_requests_in_flight",
            "Requests that are being answered now, without those for health and metrics",
            registry=self.registry,
        )
        self._waiting = Gauge(
            "triptych_queue_texts",
            "Texts that wait for a batch now",
            ["app"],
            registry=self.registry,
        )
        self._read = Counter(
            "triptych_labels_total",
            "What models said, by their likeliest label",
            ["app", "label"],
            registry=self.registry,
        )
        self._confidence = Histogram(
            "triptych_confidence",
            "Probability of the likeliest label",
            ["app"],
            buckets=_SHARES,
            registry=self.registry,
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
        known = method if method in METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._latency.labels(route, known).observe(seconds)

    def problem(self, error: str) -> None:
        """Count one error that was answered."""
        self._problems.labels(error).inc()

    def serves(self, apps: Sequence[Served]) -> None:
        """Show of each app whether it is ready, and which version it serves; once only."""
        self.registry.register(_ServedApps(apps))

    def batches_of(self, app: str, waiting: Callable[[], int] | None = None) -> BatchMetrics:
        """What a MicroBatcher of ``app`` reports to; ``waiting`` says how many texts wait."""
        if waiting is not None:
            self._waiting.labels(app).set_function(waiting)
        return BatchMetrics(
            self._queue.labels(app), self._batch.labels(app), self._inference.labels(app)
        )

    def reading(self, app: str, label: str, confidence: float) -> None:
        """Count one text that a model has read. Its label is one of the model's."""
        known = self._labels.setdefault(app, set())
        if label not in known:
            if len(known) < MOST_LABELS:
                known.add(label)
            else:
                label = "other"
        self._read.labels(app, label).inc()
        self._confidence.labels(app).observe(confidence)

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> Counter:
        """An app's own counter, made at the first call and the same one afterwards.

        ``name`` begins with ``triptych_`` and ends with ``_total``.
        """
        if not name.endswith("_total"):
            raise ValueError(f"{name!r} should read triptych_..._total")
        return self._made(Counter, name, description, labels)

    def gauge(self, name: str, description: str, labels: Sequence[str] = ()) -> Gauge:
        """An app's own gauge, as ``counter``; ``name`` begins with ``triptych_``."""
        return self._made(Gauge, name, description, labels)

    def histogram(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float] = _SECONDS,
    ) -> Histogram:
        """An app's own histogram, as ``counter``; its ``buckets`` are those of seconds."""
        return self._made(Histogram, name, description, labels, buckets=tuple(buckets))

    def stored(self, app: str, read: ReadGauges) -> None:
        """Show gauges of ``app`` that stand in the database; see ``StoredGauges``."""
        with self._lock:
            if self._stored is None:
                self._stored = StoredGauges()
                self.registry.register(self._stored)
            self._stored.add(app, read)

    def _made(
        self, kind: type[_Own], name: str, description: str, labels: Sequence[str], **options: Any
    ) -> _Own:
        if not name.startswith("triptych_"):
            raise ValueError(f"{name!r} should begin with triptych_")
        with self._lock:
            if name not in self._own:
                self._own[name] = kind(name, description, labels, registry=self.registry, **options)
            made = self._own[name]
        if not isinstance(made, kind):
            raise ValueError(f"{name!r} is a {type(made).__name__} already")
        return made

    def exposition(self) -> tuple[bytes, str]:
        """All metrics in Prometheus's text format, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _ServedApps(Collector):
    """Looks at the apps when it is asked, so that what it tells is never old."""

    def __init__(self, apps: Sequence[Served]) -> None:
        self._apps = tuple(apps)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        ready = GaugeMetricFamily("triptych_ready", "1 when the app can answer", labels=["app"])
        model = GaugeMetricFamily(
            "triptych_model_info",
            "1 for the model version that an app serves",
            labels=["app", "version"],
        )
        for app in self._apps:
            ready.add_metric([app.name], float(app.ready))
            if app.version is not None:
                model.add_metric([app.name, app.version], 1.0)
        yield ready
        yield model


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
