"""The recommender's routes under schemathesis, over real stores and the fake scorer."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from apps.api import create_app
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from shared.serving.guards.keys import create_key
from shared.storage.engine import open_database
from tests.fakes.api_conformance import check_conformance
from tests.fakes.assembled_api import eventually
from tests.fakes.loopback import served
from tests.fakes.recommend_service import EVENTS, ITEMS, NOW, add_bundle, home, make_recommender

pytestmark = pytest.mark.integration
EXAMPLES = 8


def test_every_recommend_operation_answers_as_documented(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    settings, registry = home(tmp_path)
    for day in range(2):
        add_bundle(registry, day=day)
    engine = open_database(settings.database)
    ItemStore(engine, "default").upsert(ITEMS, NOW)
    EventStore(engine, "default").add(EVENTS, NOW)
    key = create_key(engine, name="test", scopes=["admin"], actor="test", now=NOW).secret
    engine.dispose()
    headers = {"Authorization": f"Bearer {key}"}
    settings = settings.model_copy(update={"guess_limit": "100000/minute"})  # wrong keys are tried
    app = create_app(settings, require_keys=True, served=(make_recommender,))
    with served(app) as url, httpx2.Client(base_url=url, headers=headers) as client:
        assert eventually(lambda: client.get("/readyz").status_code == 200)
        document = client.get("/openapi.json").json()
        checked = check_conformance(
            url, document, headers, subtests, examples=EXAMPLES, prefix="/v1/recommend"
        )
        assert checked >= 26
        assert client.get("/v1/recommend/items/mug").json()["title"] == "Enamel mug"
