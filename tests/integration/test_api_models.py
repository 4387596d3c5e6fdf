"""``/v1/models`` over a real registry: list, show, report, promote, roll back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from models.registry import ModelRegistry, ModelVersion, Promotion
from shared.api.shapes import ModelCardShape, ModelVersions, Problem, PromotionShape
from shared.errors import PromotionRefused
from shared.storage.engine import open_database, reading
from shared.storage.tables import audit_log
from tests.fakes.assembled_api import NOW, AssembledApi, assemble
from tests.fakes.served_app import FakeServedApp

pytestmark = pytest.mark.integration


class RefreshingApp(FakeServedApp):
    """Counts how often it was told to look for another version."""

    refreshes = 0

    def refresh(self) -> bool:
        self.refreshes += 1
        return True


@dataclass
class Gate:
    """Stands in for the gate, which needs real models: it refuses the versions named."""

    refused: tuple[str, ...] = ()

    def __call__(
        self, registry: ModelRegistry, app: str, candidate: ModelVersion, **options: Any
    ) -> Promotion:
        if candidate.name in self.refused and not options["force"]:
            raise PromotionRefused("it is worse by 3.0 points", version=candidate.name)
        return registry.promote(app, candidate, gate=None, **{**options, "force": True})


@dataclass
class Models:
    api: AssembledApi
    client: TestClient
    registry: ModelRegistry
    gate: Gate
    served: RefreshingApp
    older: str
    newer: str


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Models]:
    gate, served = Gate(), RefreshingApp()
    api = assemble(tmp_path, served=served, promote=gate)
    registry = ModelRegistry(api.settings.models)
    names = [add(registry, day) for day in (0, 1)]
    registry.promote("support", names[0], gate=None, author="ann", now=NOW)
    with api.client() as client:
        yield Models(api, client, registry, gate, served, names[0], names[1])


def add(registry: ModelRegistry, day: int) -> str:
    def write(folder: Path) -> None:
        (folder / "classifier.json").write_text(json.dumps({"day": day}))
        if day:
            (folder / "report.html").write_text(f"<h1>day {day}</h1>", encoding="utf-8")

    card = {"method": "full", "encoder": "mini", "metrics": {"accuracy": 0.9 + day / 100}}
    return registry.add("support", card=card, write=write, now=NOW + timedelta(days=day)).name


def test_versions_are_listed_newest_first(models: Models) -> None:
    for query in ({"app": "support"}, {}):
        answer = models.client.get("/v1/models", params=query)
        listed = ModelVersions.model_validate(answer.json()).versions
        assert [(one.version, one.in_use) for one in listed] == [
            (models.newer, False),
            (models.older, True),
        ]
        assert listed[0].metrics == {"accuracy": 0.91}
    unknown = models.client.get("/v1/models", params={"app": "weather"})
    assert unknown.status_code == 404
    assert "support" in unknown.json()["message"]


def test_a_card_is_found_by_the_beginning_of_its_name(models: Models) -> None:
    for name in (models.older, models.older[:8]):
        answer = models.client.get(f"/v1/models/support/{name}")
        shown = ModelCardShape.model_validate(answer.json())
        assert (shown.version, shown.in_use) == (models.older, True)
        assert shown.card["method"] == "full"


def test_a_report_is_a_page_that_may_load_nothing(models: Models) -> None:
    answer = models.client.get(f"/v1/models/support/{models.newer}/report.html")
    assert (answer.status_code, answer.text) == (200, "<h1>day 1</h1>")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "sandbox" in answer.headers["content-security-policy"]
    missing = models.client.get(f"/v1/models/support/{models.older}/report.html")
    assert missing.status_code == 404


def test_promoting_and_rolling_back(models: Models) -> None:
    promoted = models.client.post(
        f"/v1/models/support/{models.newer}/promote", json={"author": "ben"}
    )
    shape = PromotionShape.model_validate(promoted.json())
    assert (shape.version, shape.previous) == (models.newer, models.older)
    assert models.registry.in_use("support") == models.newer
    back = models.client.post("/v1/models/support/rollback", json={"author": "cleo"})
    assert back.json()["version"] == models.older
    assert models.registry.in_use("support") == models.older
    assert models.served.refreshes == 2
    assert [one.author for one in models.registry.history("support")] == ["ann", "ben", "cleo"]
    engine = open_database(models.api.settings.database)
    with reading(engine) as connection:
        rows = connection.execute(select(audit_log).where(audit_log.c.action.like("model%"))).all()
    engine.dispose()
    assert [(row.actor, row.action, row.details["by_key_name"]) for row in rows] == [
        ("ben", "model promotion", "admin"),
        ("cleo", "model rollback", "admin"),
    ]


def test_a_refusal_is_a_conflict_and_force_goes_past_it(models: Models) -> None:
    models.gate.refused = (models.newer,)
    path = f"/v1/models/support/{models.newer}/promote"
    refused = models.client.post(path, json={"author": "ben"})
    problem = Problem.model_validate(refused.json())
    assert (refused.status_code, problem.error) == (409, "promotion_refused")
    assert problem.details == {"version": models.newer}
    assert models.registry.in_use("support") == models.older
    assert models.served.refreshes == 0
    forced = models.client.post(path, json={"author": "ben", "force": True})
    assert forced.json()["forced"] is True


def test_a_changed_version_is_not_put_in_use(models: Models) -> None:
    (models.registry.get("support", models.newer).folder / "classifier.json").write_text("{}")
    answer = models.client.post(
        f"/v1/models/support/{models.newer}/promote", json={"author": "ben"}
    )
    assert (answer.status_code, answer.json()["error"]) == (409, "manifest_mismatch")
    assert models.registry.in_use("support") == models.older


def test_there_is_nothing_before_the_first(models: Models) -> None:
    answer = models.client.post("/v1/models/support/rollback", json={"author": "ben"})
    assert (answer.status_code, answer.json()["error"]) == (404, "version_not_found")
