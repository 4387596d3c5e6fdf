"""Health: does the process live (``/healthz``), can it answer (``/readyz``), ``/metrics``."""

from __future__ import annotations

from fastapi import APIRouter, Response

from shared.api.shapes import Health
from shared.errors import NotReady
from shared.serving.problems import documented
from shared.serving.served import Starter
from shared.serving.watching.metrics import Metrics


def health_routes(starter: Starter, metrics: Metrics) -> APIRouter:
    """The routes that need no key: they hold no data but versions and counts."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Whether the process lives")
    def healthz() -> Health:
        """Always 200 while the process answers at all."""
        return Health(status="ok", versions=starter.versions())

    @router.get("/readyz", summary="Whether every app is warmed up", responses=documented(503))
    def readyz() -> Health:
        """200 once every app can answer; before that 503, with what each waits for."""
        reasons = starter.reasons()
        if reasons:
            told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise NotReady(f"not ready: {told}", apps=reasons)
        return Health(status="ready", versions=starter.versions())

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def prometheus() -> Response:
        """Prometheus's text format."""
        content, media_type = metrics.exposition()
        return Response(content, media_type=media_type)

    return router
