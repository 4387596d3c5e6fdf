"""The assembled application over a fake served app, and a client that holds a key for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from apps.api import create_app
from shared.serving.guards.keys import create_key
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.served_app import FakeServedApp

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class AssembledApi:
    """``served`` is what stands behind the routes; ``keys`` holds a key of each scope."""

    app: FastAPI
    served: FakeServedApp
    keys: dict[str, str]
    settings: Settings

    def client(self, scope: str | None = "admin") -> TestClient:
        headers = {} if scope is None else {"Authorization": f"Bearer {self.keys[scope]}"}
        return TestClient(self.app, headers=headers, raise_server_exceptions=False)


def assemble(
    home: Path,
    *,
    url: str | None = None,
    served: FakeServedApp | None = None,
    require_keys: bool = True,
    **options: Any,
) -> AssembledApi:
    """An application of its own under ``home``, with a key of each scope."""
    settings = Settings(home=home, database_url=url)
    engine = open_database(settings.database)
    keys = {
        scope: create_key(engine, name=scope, scopes=[scope], actor="test", now=NOW).secret
        for scope in ("use", "review", "admin")
    }
    engine.dispose()
    fake = served or FakeServedApp()
    app = create_app(
        settings,
        require_keys=require_keys,
        served=(lambda settings, engine, registry: fake,),
        clock=lambda: NOW,
        **options,
    )
    return AssembledApi(app, fake, keys, settings)


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.005)
    return holds()
