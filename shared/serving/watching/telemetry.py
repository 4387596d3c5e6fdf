"""OpenTelemetry traces, an extra: off unless an endpoint is set, and then nothing is imported.

    request ── queue ── inference            spans; the names of attributes are those of
        └───── database                      https://opentelemetry.io/docs/specs/semconv/

The tracer travels with the request in a context variable. Code that may be traced calls ``span``
or ``past_span``; where no trace is taken that costs one look at the variable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from sqlalchemy import Engine, event

from shared.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_TRACER: ContextVar[Any] = ContextVar("triptych_tracer", default=None)
_NOTHING = nullcontext()
P = ParamSpec("P")
R = TypeVar("R")


def span(name: str, **attributes: str | int | float) -> AbstractContextManager[Any]:
    """A span around what is done within it, where a trace is taken."""
    tracer = _TRACER.get()
    if tracer is None:
        return _NOTHING
    made: AbstractContextManager[Any] = tracer.start_as_current_span(name, attributes=attributes)
    return made


def past_span(name: str, began: float, ended: float, **attributes: str | int | float) -> None:
    """A span of what is over; both times are of ``time.perf_counter``, in seconds."""
    tracer = _TRACER.get()
    if tracer is None:
        return
    offset = time.time_ns() - time.perf_counter_ns()
    made = tracer.start_span(name, start_time=int(began * 1e9) + offset, attributes=attributes)
    made.end(end_time=int(ended * 1e9) + offset)


def tracing() -> bool:
    """Whether a trace is taken of what is being done."""
    return _TRACER.get() is not None


def current_trace_id() -> str | None:
    """The trace at hand as W3C writes it (32 hexadecimal digits), or None."""
    if _TRACER.get() is None:
        return None
    from opentelemetry.trace import format_trace_id, get_current_span

    found = get_current_span().get_span_context()
    return format_trace_id(found.trace_id) if found.is_valid else None


def outgoing_headers() -> dict[str, str]:
    """``traceparent`` (W3C Trace Context) for a call to others; empty where no trace is taken."""
    headers: dict[str, str] = {}
    if _TRACER.get() is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers)
    return headers


class Traces:
    """Takes traces and sends them to ``exporter`` or, by OTLP over HTTP, to ``endpoint``.

    ``at_once`` exports each span as it ends, for tests; else a thread of its own sends batches.
    Sampling and the service's name follow the standard's own variables (``OTEL_TRACES_SAMPLER``,
    ``OTEL_SERVICE_NAME``). Raises SettingsError where the extra ``tracing`` is not installed.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        service: str = "triptych",
        exporter: SpanExporter | None = None,
        at_once: bool = False,
    ) -> None:
        try:
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        except ImportError as error:
            raise SettingsError(
                "traces need OpenTelemetry: pip install 'triptych[tracing]', or unset the endpoint"
            ) from error
        if exporter is None:
            exporter = _exporter(endpoint)
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: service}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        processor = SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("triptych")

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[Any]:
        """The span of a request, below the caller's where ``headers`` hold a ``traceparent``."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        names = ("traceparent", "tracestate")
        carrier = {name: headers[name] for name in names if name in headers}
        with self._root(
            method,
            context=TraceContextTextMapPropagator().extract(carrier),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method},
        ) as made:
            yield made

    def around(self, name: str, run: Callable[P, R]) -> Callable[P, R]:
        """The function with a trace of its own around each call: a job of the watcher."""

        def traced(*given: P.args, **named: P.kwargs) -> R:
            with self._root(name):
                return run(*given, **named)

        return traced

    @contextmanager
    def _root(self, name: str, **options: Any) -> Iterator[Any]:
        token = _TRACER.set(self._tracer)
        try:
            with self._tracer.start_as_current_span(name, **options) as made:
                yield made
        finally:
            _TRACER.reset(token)

    def watch_database(self, engine: Engine) -> None:
        """Give each statement a span of its own. Its text has placeholders, and no values."""

        @event.listens_for(engine, "before_cursor_execute")
        def begin(
            _connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool
        ) -> None:
            if context is not None and (tracer := _TRACER.get()) is not None:
                context.triptych_span = tracer.start_span(
                    statement.split(None, 1)[0],
                    attributes={
                        "db.system.name": engine.dialect.name,
                        "db.query.text": statement[:2_000],
                    },
                )

        @event.listens_for(engine, "after_cursor_execute")
        def end(
            _connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool
        ) -> None:
            if (made := getattr(context, "triptych_span", None)) is not None:
                made.end()

        @event.listens_for(engine, "handle_error")
        def fail(raised: Any) -> None:
            made = getattr(raised.execution_context, "triptych_span", None)
            if made is not None:
                from opentelemetry.trace import StatusCode

                made.set_status(StatusCode.ERROR, type(raised.original_exception).__name__)
                made.end()

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _exporter(endpoint: str | None) -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise SettingsError(
            "traces need OpenTelemetry: pip install 'triptych[tracing]', or unset the endpoint"
        ) from error
    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None)
