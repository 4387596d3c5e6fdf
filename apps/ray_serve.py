"""The API as replicas on Ray Serve, as many as requests in flight ask for.

    serve run apps.ray_serve:build                                # on a Ray that `ray start` began
    serve run apps.ray_serve:build min_replicas=2 max_replicas=8

A KubeRay ``RayService`` names ``apps.ray_serve:build`` as ``import_path`` and gives the same values
as ``args``. A replica is one process with all three apps, as ``triptych serve`` runs it; it takes
requests once its models are warm. All share the database and the registry: PostgreSQL and a shared
home where they run on several machines. The settings are those of whoever builds the application.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import SettingsError
from shared.settings import Settings

LOGGER = logging.getLogger(__name__)

READY_SECONDS = 60.0
"""After so long a replica takes requests though ``/readyz`` does not say so: one app may answer."""

App = Callable[[Any, Any, Any], Any]


class ReplicaOptions(BaseModel):
    """What ``build`` takes; an unknown name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_replicas: int = Field(default=1, ge=1, description="replicas when nobody asks anything")
    max_replicas: int = Field(default=4, ge=1, description="replicas at most")
    in_flight: float = Field(
        default=16.0, gt=0, description="requests in flight that one replica is to have"
    )
    most_in_flight: int = Field(default=256, ge=1, description="beyond that a replica gets no more")
    processors: float = Field(default=1.0, gt=0, description="of a replica, as Ray counts them")
    wait_up: float = Field(default=5.0, ge=0, description="seconds of load before one is added")
    wait_down: float = Field(default=120.0, ge=0, description="seconds of rest before one goes")
    keys: bool = Field(default=True, description="whether callers must send an API key")


class ReadyFirst:
    """An ASGI application whose start is over when ``/readyz`` answers 200."""

    def __init__(self, app: App, seconds: float = READY_SECONDS) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand on; the message that the start is complete waits."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return

        async def send_later(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._wait()
            await send(message)

        await self.app(scope, receive, send_later)

    async def _wait(self) -> None:
        ends = time.monotonic() + self.seconds
        while await self._status() != 200:
            if time.monotonic() > ends:
                LOGGER.warning("not ready after %.0f s: taking requests all the same", self.seconds)
                return
            await asyncio.sleep(0.1)

    async def _status(self) -> int:
        found: list[int] = []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/readyz", "raw_path": b"/readyz", "query_string": b"",
            "root_path": "", "headers": [(b"host", b"127.0.0.1")], "state": {},
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                found.append(message["status"])

        await self.app(scope, receive, send)
        return found[0] if found else 0


def replica_app(settings: Settings, keys: bool) -> ReadyFirst:
    """The application of one replica, made where it runs."""
    from apps.api import create_app

    return ReadyFirst(create_app(settings, require_keys=keys, loopback_only=not keys))


def build(options: Mapping[str, Any] | None = None) -> Any:
    """The application for ``serve.run``. SettingsError for bad options, and where Ray is missing.

    Without keys callers on this machine alone are answered.
    """
    from models.scale.cluster import require_ray

    require_ray()
    try:
        asked = ReplicaOptions(**dict(options or {}))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{where}: {first['msg']}", option=where) from error
    if asked.max_replicas < asked.min_replicas:
        raise SettingsError("max_replicas is below min_replicas", option="max_replicas")
    from ray import serve
    from ray.serve.config import AutoscalingConfig

    settings = Settings()

    def make() -> Any:  # Ray calls functions alone, and not what can be called like one
        return replica_app(settings, asked.keys)

    replica = serve.ingress(make)()
    deployment = serve.deployment(
        name="triptych-api",
        max_ongoing_requests=asked.most_in_flight,
        ray_actor_options={"num_cpus": asked.processors},
        autoscaling_config=AutoscalingConfig(
            min_replicas=asked.min_replicas,
            max_replicas=asked.max_replicas,
            target_ongoing_requests=asked.in_flight,
            upscale_delay_s=asked.wait_up,
            downscale_delay_s=asked.wait_down,
        ),
    )(replica)
    return deployment.bind()
