"""The typed HTTP client of the Triptych API: what the pages and users' programs call.

    with TriptychClient("http://127.0.0.1:8000", key="tk_...") as client:
        reply = client.chat("where is my parcel?")
        print(reply.action, reply.text)

Calls that change nothing are repeated when the server is busy or the connection breaks; see
``shared.api.calls`` for when and how often.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx2

from shared.api import shapes
from shared.api.calls import ApiError, Calls, Retries, made, path_of
from shared.api.drift import DriftOverview
from shared.api.finance_client import FinanceCalls
from shared.api.recommend_client import RecommendCalls
from shared.api.support_client import SupportCalls

__all__ = ["ApiError", "Retries", "TriptychClient"]


class TriptychClient(SupportCalls, FinanceCalls, RecommendCalls):
    """One connection pool to one API; safe to share between threads.

    ``timeout`` is in seconds and holds for calls that answer at once; those that train, score or
    read a whole file have ``slow_timeout``. Every method raises ``ApiError`` and nothing else.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        slow_timeout: float = 600.0,
        retries: Retries | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.url = url.rstrip("/")
        self._calls = Calls(
            self.url,
            key,
            timeout=timeout,
            slow_timeout=slow_timeout,
            retries=retries or Retries(),
            transport=transport,
            sleep=sleep,
            jitter=jitter,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()

    # The server itself

    def ready(self) -> shapes.Health:
        """Status ``ready`` once every app is warmed up, else what it waits for.

        Asks once and never waits.
        """
        try:
            answer = self._calls.send("GET", "/readyz", repeat=False, attempts=1)
        except ApiError as error:
            if error.status != 503:
                raise
            return shapes.Health(status=error.message)
        return self._calls.read(answer, shapes.Health)

    def drift(
        self, app: str | None = None, *, checks: int = 120, tenant: str | None = None
    ) -> DriftOverview:
        """What the apps (or one) read now against what their versions were made of, over time."""
        return self._calls.get("/v1/drift", DriftOverview, app=app, checks=checks, tenant=tenant)

    # Model versions

    def models(self, app: str) -> list[shapes.ModelVersionSummary]:
        """The versions of an app, newest first."""
        return self._calls.get("/v1/models", shapes.ModelVersions, app=app).versions

    def model(self, app: str, version: str) -> shapes.ModelCardShape:
        """A version's card."""
        return self._calls.get(path_of("v1", "models", app, version), shapes.ModelCardShape)

    def model_report(self, app: str, version: str) -> str:
        """A version's report: one HTML page that needs nothing else."""
        path = path_of("v1", "models", app, version, "report.html")
        return self._calls.send("GET", path, repeat=True).text

    def promote(
        self, app: str, version: str, *, author: str, force: bool = False
    ) -> shapes.PromotionShape:
        """Put a version in use; refused (409) when the gate finds it worse, unless forced."""
        body = made(shapes.PromoteRequest, author=author, force=force)
        path = path_of("v1", "models", app, version, "promote")
        return self._calls.post(path, body, shapes.PromotionShape, slow=True)

    def rollback(self, app: str, *, author: str) -> shapes.PromotionShape:
        """Put the version before the present one back in use."""
        body = made(shapes.RollbackRequest, author=author)
        return self._calls.post(
            path_of("v1", "models", app, "rollback"), body, shapes.PromotionShape
        )
