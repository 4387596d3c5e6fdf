"""``triptych recommend for-user``, ``similar`` and ``query``: no bundle yet, a tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from apps.recommend.commands.lists import for_user, query, similar
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from shared.settings import Settings
from shared.storage.engine import open_database, reading
from shared.storage.recommend_tables import impressions
from tests.fakes.recommend_service import EVENTS, ITEMS, NOW
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.integration
WORDS = " ".join(item.whole for item in ITEMS).lower().split()


class Home:
    """An installation with a catalogue and events."""

    def __init__(self, folder: Path) -> None:
        encoder = tiny_encoder(folder / "encoder", words=sorted(set(WORDS)))
        self.variables = {
            "TRIPTYCH_HOME": str(folder / "home"),
            "TRIPTYCH_ENCODER": str(encoder),
            "COLUMNS": "300",
        }
        self.database = Settings(home=folder / "home").database
        engine = open_database(self.database)
        ItemStore(engine, "default").upsert(ITEMS, NOW)
        EventStore(engine, "default").add(EVENTS, NOW)
        engine.dispose()

    def run(self, command: click.Command, *arguments: str) -> Result:
        return CliRunner().invoke(command, arguments, env=self.variables, catch_exceptions=False)

    def json(self, command: click.Command, *arguments: str) -> Any:
        result = self.run(command, *arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("lists"))


def ids(answer: Any) -> list[str]:
    return [entry["item"]["id"] for entry in answer["entries"]]


def test_a_list_for_a_user(shop: Home) -> None:
    answer = shop.json(for_user, "ann", "-k", "4", "--hide", "seen", "--category", "Photo")
    assert ids(answer) == ["tripod"]
    assert answer["bundle"] is None
    assert answer["events"] == 3
    assert {one["reason"] for one in answer["missing"]} >= {"category", "unavailable", "seen"}
    assert answer["entries"][0]["reasons"]["nearest"]["item"] in {"camera", "tent", "kettle"}


def test_it_does_not_count_as_shown(shop: Home) -> None:
    answer = shop.json(for_user, "ann")
    engine = open_database(shop.database)
    with reading(engine) as connection:
        assert connection.execute(impressions.select()).all() == []
    engine.dispose()
    assert answer["request_id"] is None


def test_a_table_for_people(shop: Home) -> None:
    result = shop.run(for_user, "ann", "-k", "20")
    assert result.exit_code == 0
    assert "no bundle yet" in result.stderr
    assert "shorter than asked for" in result.stderr
    assert "Enamel mug" in result.stdout
    assert "why" in result.stdout


def test_filters_by_attribute(shop: Home) -> None:
    assert ids(shop.json(for_user, "bob", "--attribute", "colour=green")) == ["tent"]
    refused = shop.run(for_user, "bob", "--attribute", "green")
    assert refused.exit_code == 1
    assert "NAME=VALUE" in refused.stderr


def test_what_is_near_and_what_fits(shop: Home) -> None:
    near = shop.json(similar, "camera", "--unavailable", "-k", "7")
    assert near["item"]["id"] == "camera"
    assert set(ids(near)) == {item.id for item in ITEMS} - {"camera"}
    assert "lens" not in ids(shop.json(similar, "camera", "-k", "7"))
    found = shop.json(query, "iron pan", "--category", "Kitchen", "-k", "3")
    assert set(ids(found)) == {"kettle", "mug", "pan"}
    scores = [entry["score"] for entry in found["entries"]]
    assert scores == sorted(scores, reverse=True)


def test_an_item_that_is_not_there(shop: Home) -> None:
    result = shop.run(similar, "nothing")
    assert result.exit_code == 1
    assert "there is no item 'nothing'" in result.stderr


def test_another_tenant_has_nothing(shop: Home) -> None:
    assert ids(shop.json(for_user, "ann", "--tenant", "toys")) == []
