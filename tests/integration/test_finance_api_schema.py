"""The finance routes under schemathesis, over real stores that hold stories, rules and alerts."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from apps.api import create_app
from shared.serving.guards.keys import create_key
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.api_conformance import check_conformance
from tests.fakes.assembled_api import eventually
from tests.fakes.finance_monitor import NOW, make_monitor
from tests.fakes.loopback import served

pytestmark = pytest.mark.integration
EXAMPLES = 8


def test_every_finance_operation_answers_as_documented(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    settings = Settings(home=tmp_path, guess_limit="100000/minute")  # wrong keys are tried, too
    engine = open_database(settings.database)
    key = create_key(engine, name="test", scopes=["admin"], actor="test", now=NOW).secret
    engine.dispose()
    headers = {"Authorization": f"Bearer {key}"}
    app = create_app(settings, require_keys=True, served=(make_monitor,))
    with served(app) as url, httpx2.Client(base_url=url, headers=headers) as client:
        assert eventually(lambda: client.get("/readyz").status_code == 200)
        document = client.get("/openapi.json").json()
        checked = check_conformance(
            url, document, headers, subtests, examples=EXAMPLES, prefix="/v1/finance"
        )
        assert checked >= 28
        assert len(client.get("/v1/finance/stories").json()["stories"]) == 9
