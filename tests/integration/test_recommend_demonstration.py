"""The demo of the recommender, with a tiny encoder: fitted, asked, repeated, and out of the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from apps.demo import show_recommender
from apps.recommend.demonstration import (
    LATELY,
    LIST_LENGTH,
    OTHER_TENANT,
    TOWER_EPOCHS,
    Demonstration,
    demonstrate,
    tenant_for_sample,
    typical_user,
)
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from apps.recommend.samples.catalogue import sample_items
from models.promotion_audit import audited_registry
from models.registry import ModelRegistry
from shared.catalogue import BehaviourEvent, CatalogueItem
from shared.settings import Settings
from shared.storage.audit import read_audit
from shared.storage.engine import open_database, reading
from shared.storage.recommend_tables import impressions
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("demonstration")
    words = sorted({word for item in sample_items() for word in item.whole.lower().split()})
    encoder = tiny_encoder(folder / "encoder", words=words)
    return Settings(home=folder / "home", encoder=str(encoder))


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_database(settings.database)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def shown(settings: Settings, engine: Engine) -> Demonstration:
    registry = audited_registry(settings)
    return demonstrate(settings, engine, registry, seed=1, now=NOW, say=lambda _: None)


def test_the_sample_is_fitted_and_in_use(
    shown: Demonstration, settings: Settings, engine: Engine
) -> None:
    registry = ModelRegistry(settings.models)
    assert shown.tenant == "default"
    assert ItemStore(engine, "default").count() == len(sample_items())
    assert shown.summary["promotion"]["promoted"]
    card = registry.get("recommend", shown.summary["version"]).card
    assert card["data"]["synthetic"] is True
    assert card["data"]["events"] == EventStore(engine, "default").count()
    assert card["recipe"]["tower_epochs"] == TOWER_EPOCHS
    assert {"all", "behaviour", "text", "popular"} <= set(card["ablations"])


def test_a_list_is_made_with_reasons_and_counts_as_shown_to_nobody(
    shown: Demonstration, engine: Engine
) -> None:
    assert shown.answer.bundle == shown.summary["version"]
    assert len({entry.item.id for entry in shown.answer.entries}) == LIST_LENGTH
    for entry in shown.answer.entries:
        assert entry.reasons is not None
        told = sum(because.share for because in entry.reasons.because)
        assert told + entry.reasons.other + entry.reasons.popular == pytest.approx(1)
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(impressions)) == 0


def test_the_shopper_is_told_of_by_the_newest_deeds(shown: Demonstration, engine: Engine) -> None:
    history = EventStore(engine, "default").history(shown.user)
    titles = {item.id: item.title for item in sample_items()}
    newest = zip(history.types[::-1], history.item_ids[::-1], strict=True)
    expected = tuple((deed, titles[item]) for deed, item in newest)[:LATELY]
    assert shown.lately == expected


def test_a_second_one_stores_nothing_twice_and_says_once_what_it_is(
    shown: Demonstration, settings: Settings, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    before = EventStore(engine, "default").count()
    show_recommender(settings, 1, NOW + timedelta(days=3))
    assert EventStore(engine, "default").count() == before
    registry = ModelRegistry(settings.models)
    assert len(registry.versions("recommend")) == 2
    recorded = [line.details["version"] for line in read_audit(engine, action="model promotion")]
    assert recorded[::-1] == [one.version for one in registry.history("recommend")]
    printed = " ".join(capsys.readouterr().out.split())
    assert len(re.findall("synthetic", printed)) == 1
    assert shown.user in printed
    assert "because you" in printed


def test_a_catalogue_of_ones_own_is_left_alone(sqlite_engine: Engine) -> None:
    assert tenant_for_sample(sqlite_engine) == "default"
    ItemStore(sqlite_engine, "default").upsert(sample_items()[:3], NOW)
    assert tenant_for_sample(sqlite_engine) == "default"
    ItemStore(sqlite_engine, "default").upsert([CatalogueItem("own", "A team's own item")], NOW)
    assert tenant_for_sample(sqlite_engine) == OTHER_TENANT


def test_the_typical_user_stands_in_the_middle(sqlite_engine: Engine) -> None:
    events = EventStore(sqlite_engine, "default")
    lengths = {"busy": 9, "idle": 1, "amid": 4, "also": 4, "rare": 2}
    events.add(
        [
            BehaviourEvent(f"{user}-{number}", user, "cup", "view", NOW)
            for user, length in lengths.items()
            for number in range(length)
        ],
        NOW,
    )
    assert typical_user(events) == "also"
