"""All three apps behind one application, over fakes of their models, with traffic behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import Engine

from apps.finance.bootstrap import served_finance
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from apps.support.bootstrap import SupportSettings, served_support
from apps.support.inference import Desk
from models.registry import ModelRegistry
from shared.monitoring.drift_alerts import drift_gauges
from shared.serving.application import build_api
from shared.serving.guards.auth import Authenticator
from shared.serving.watching.metrics import Metrics
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.assembled_api import eventually
from tests.fakes.finance_monitor import ScorerFake
from tests.fakes.predictor import KeywordPredictor
from tests.fakes.recommend_service import EVENTS, ITEMS, NOW, add_bundle, make_recommender
from tests.fakes.support_desk import PointerFake, shop_desk


@dataclass
class WatchedApi:
    """``client`` calls the application that counts in ``metrics``."""

    client: TestClient
    metrics: Metrics
    engine: Engine

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def use_everything(self) -> None:
        """One of each: answers, a question, a handover, scores, lists, a click, errors."""
        texts = ["refund", "my parcel", "quantum"]
        self.post("/v1/support/classify", texts=texts)
        self.post("/v1/support/chat", text="a human please")
        self.post("/v1/finance/score", texts=["Profit rises at Siemens"])
        shown = self.post("/v1/recommend/users/ann/list", k=3)
        self.post("/v1/recommend/session", items=["tent"], k=40)
        item = shown["entries"][0]["item"]["id"]
        clicks = f"/v1/recommend/impressions/{shown['request_id']}/clicks"
        for _ in range(2):
            self.post(clicks, item=item)
        self.post("/v1/support/classify", 422, texts=[])
        self.post(clicks, 404, item="none-such")

    def value(self, name: str, **labels: str) -> float | None:
        """A sample as it is exposed now."""
        found: float | None = self.metrics.registry.get_sample_value(name, labels)
        return found


@contextmanager
def watched_api(folder: Path, **options: Any) -> Iterator[WatchedApi]:
    """The application over a database of its own below ``folder``; ready when it is given."""
    settings = Settings(home=folder)
    engine = open_database(settings.database)
    ItemStore(engine, "default").upsert(ITEMS, NOW)
    EventStore(engine, "default").add(EVENTS, NOW)
    registry = ModelRegistry(settings.models)
    add_bundle(registry)
    support = served_support(
        settings,
        engine,
        PointerFake({"v1": shop_desk(KeywordPredictor(version="v1"))}, "v1"),  # type: ignore[arg-type]
        desk_settings=SupportSettings(),
        load=_as_it_is,
        poll_seconds=0.05,
    )
    finance = served_finance(
        settings,
        engine,
        PointerFake({}),  # type: ignore[arg-type]
        scorer=ScorerFake(engine),  # type: ignore[arg-type]
    )
    recommend = make_recommender(settings, engine, registry)
    metrics = Metrics()
    metrics.stored("drift", lambda moment: drift_gauges(engine, moment))
    app = build_api(
        served=[support, finance, recommend],
        authenticator=Authenticator(None, False),
        metrics=metrics,
        **options,
    )
    try:
        with TestClient(app, raise_server_exceptions=False) as client:
            assert eventually(lambda: client.get("/readyz").status_code == 200)
            yield WatchedApi(client, metrics, engine)
    finally:
        engine.dispose()


def _as_it_is(version: Any) -> Desk:
    assert isinstance(version, Desk)
    return version
