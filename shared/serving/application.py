"""The application factory: apps in, one FastAPI application out.

    Tracing ── Guard ── CORS ── LoopbackOnly ── BodyLimit ── NamedOnce ── routes

A route asks for the key, then for the app's own work.

Nothing is loaded here. When the server starts, every app starts in a thread of its own, and
``/readyz`` tells how far it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from shared.serving.disconnects import Disconnects
from shared.serving.guards.auth import Authenticator
from shared.serving.guards.cross_origin import cross_origin
from shared.serving.guards.guard import Guard
from shared.serving.guards.limits import MEBIBYTE, BodyLimit, LoopbackOnly, NamedOnce
from shared.serving.hot_path import HasHotRoutes, add_hot_routes
from shared.serving.openapi import document
from shared.serving.problems import answer_problems
from shared.serving.served import Measured, ServedApp, Starter
from shared.serving.watching.health import health_routes
from shared.serving.watching.metrics import Metrics
from shared.serving.watching.metrics_port import metrics_on_port
from shared.serving.watching.telemetry import Traces
from shared.serving.watching.tracing import Tracing

DESCRIPTION = """One transformer fine-tuning core, and the applications on it.

Every error is a `Problem`. Requests carry an API key in `Authorization: Bearer` or `X-API-Key`,
unless the server runs without keys on this machine only.
"""


def build_api(
    *,
    served: Sequence[ServedApp],
    extra_routers: Sequence[APIRouter] = (),
    authenticator: Authenticator,
    body_limit: int = MEBIBYTE,
    body_limits: Mapping[str, int] | None = None,
    loopback_only: bool = False,
    on_close: Sequence[Callable[[], None]] = (),
    on_start: Sequence[Callable[[], None]] = (),
    metrics: Metrics | None = None,
    traces: Traces | None = None,
    metrics_address: tuple[str, int] | None = None,
    times: Mapping[str, float] | None = None,
    slow: Sequence[str] = (),
    origins: Sequence[str] = (),
) -> FastAPI:
    """One application from the apps' routers.

    ``body_limits`` names paths that take more (or fewer) bytes than ``body_limit``.
    ``loopback_only`` refuses requests that a web page or a foreign name brought here: set it when
    no keys are required. ``on_start`` is called when the server starts, ``on_close``
    after every app has stopped. ``traces`` are taken where there are any, and closed last.
    ``metrics_address`` is a host and the first port of those where each process shows its metrics
    by itself. ``times`` are those of ``Guard``, ``slow`` the ends of paths that take long.
    ``origins`` are web pages that may call from a browser. Raises
    SettingsError for an origin that is none.
    """
    metrics = metrics or Metrics()
    starter = Starter(served)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as until_stopped:
            if traces is not None:
                until_stopped.callback(traces.close)
            for close in reversed(on_close):
                until_stopped.callback(close)
            if metrics_address is not None:
                host, port = metrics_address
                until_stopped.enter_context(metrics_on_port(metrics, port, host=host))
            until_stopped.callback(starter.stop)
            starter.start()
            for begin in on_start:
                begin()
            yield

    middleware = [Middleware(Tracing, metrics=metrics, traces=traces)]
    counted = metrics.problem
    middleware.append(Middleware(Guard, slow=tuple(slow), counted=counted, **dict(times or {})))
    middleware += cross_origin(origins)
    if loopback_only:
        middleware.append(Middleware(LoopbackOnly))
    middleware.append(Middleware(BodyLimit, limit=body_limit, routes=body_limits))
    middleware.append(Middleware(NamedOnce))
    middleware.append(Middleware(Disconnects))
    app = FastAPI(
        title="Triptych",
        version=_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        middleware=middleware,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours: telemetry.py
    )
    app.state.authenticator = authenticator
    app.state.metrics = metrics
    metrics.serves(served)
    answer_problems(app, metrics)
    app.include_router(health_routes(starter, metrics))
    for one in served:
        if isinstance(one, Measured):
            one.measure(metrics)
        app.include_router(one.router)
        if isinstance(one, HasHotRoutes):
            add_hot_routes(app, one.hot_routes)
    for router in extra_routers:
        app.include_router(router)
    document(app, keys_required=authenticator.required)
    return app


def _version() -> str:
    try:
        return version("triptych")
    except PackageNotFoundError:
        return "0"
