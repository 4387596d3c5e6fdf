"""The whole API under schemathesis: whatever fits its document, or does not, is answered by it.

The real routes of the support desk and of the registry, over a predictor that anyone can follow;
what would load a model (attributions, a new intent, the data doctor) is stood in for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from apps.api import create_app
from apps.support.bootstrap import ActionCounter, ServedSupport
from apps.support.conversation.conversations import Conversations
from apps.support.inference import Desk, DeskInUse, Reading
from apps.support.learning.teaching import TeachingService
from apps.support.router import support_router
from apps.support.service import SupportService
from data_connectors.files import read_file
from models.registry import ModelRegistry, Promotion
from shared.api.support import AddIntentReport, AddIntentRequest, CheckReport
from shared.privacy import mask_personal_data
from shared.records import TokenAttribution
from shared.serving.batching.micro_batcher import MicroBatcher
from shared.serving.guards.keys import create_key
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.api_conformance import check_conformance
from tests.fakes.assembled_api import NOW, eventually
from tests.fakes.loopback import served
from tests.fakes.support_desk import ClockFake, shop_desk

pytestmark = pytest.mark.integration
EXAMPLES = 12


def served_shop(_settings: Settings, engine: Engine, registry: ModelRegistry) -> ServedSupport:
    """The desk's own routes and services over the keyword predictor."""

    def load(_version: object) -> Desk:
        return shop_desk()

    def attribute(_predictor: object, text: str, _intent: str) -> list[TokenAttribution]:
        return [TokenAttribution(word, 0.5) for word in text.split()]

    def add_intent(request: AddIntentRequest, _now: object) -> AddIntentReport:
        return AddIntentReport(
            version="v2",
            previous="v1",
            promoted=True,
            reason=f"{request.name} costs nobody a point",
            seconds=0.1,
            accuracy_before=0.9,
            accuracy_after=0.9,
            largest_loss_intent=None,
            largest_loss=0.0,
        )

    def check_file(path: Path, text_column: str | None, label_column: str | None) -> CheckReport:
        dataset = read_file(path, text_column=text_column, label_column=label_column)
        return CheckReport(
            rows=len(dataset.examples),
            rejected=len(dataset.rejects),
            classes=len(dataset.labels),
            warnings=0,
            findings=[],
            seconds=0.0,
        )

    desk = DeskInUse(registry, load, poll_seconds=60)
    batcher: MicroBatcher[Reading] = MicroBatcher(desk.read)
    clock = ClockFake()
    service = SupportService(
        desk=desk,
        batcher=batcher,
        conversations=Conversations(engine, timeout=timedelta(minutes=30)),
        mask=mask_personal_data,
        attribute=attribute,
        clock=clock,
    )
    teaching = TeachingService(
        desk=desk,
        engine=engine,
        mask=mask_personal_data,
        clock=clock,
        add_intent=add_intent,
        check_file=check_file,
    )
    return ServedSupport(support_router(service, teaching), desk, batcher, ActionCounter())


def promote(registry: ModelRegistry, app: str, candidate: Any, **options: Any) -> Promotion:
    return registry.promote(app, candidate, gate=None, **{**options, "force": True})


@dataclass
class Running:
    url: str
    document: dict[str, Any]
    headers: dict[str, str]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a key required, two versions in its registry and a few conversations."""
    # Wrong keys are part of what is tried.
    home = Settings(home=tmp_path_factory.mktemp("schema"), guess_limit="100000/minute")
    registry = ModelRegistry(home.models)
    for day in range(2):
        version = registry.add(
            "support",
            card={"method": "full", "encoder": "mini", "metrics": {"accuracy": 0.9}},
            write=lambda folder: (folder / "report.html").write_text("<p>report</p>") and None,
            now=NOW + timedelta(days=day),
        )
        registry.promote("support", version, gate=None, author="ann", now=NOW, force=True)
    engine = open_database(home.database)
    key = create_key(engine, name="test", scopes=["admin"], actor="test", now=NOW).secret
    engine.dispose()
    app = create_app(home, require_keys=True, served=(served_shop,), promote=promote)
    headers = {"Authorization": f"Bearer {key}"}
    with served(app) as url, httpx2.Client(base_url=url, headers=headers) as client:
        assert eventually(lambda: client.get("/readyz").status_code == 200)
        for text in ("quantum entanglement", "my parcel", "refund"):
            assert client.post("/v1/support/chat", json={"text": text}).status_code == 200
        yield Running(url, client.get("/openapi.json").json(), headers)


def test_every_operation_answers_as_documented(running: Running, subtests: pytest.Subtests) -> None:
    checked = check_conformance(
        running.url, running.document, running.headers, subtests, examples=EXAMPLES
    )
    assert checked >= 20
