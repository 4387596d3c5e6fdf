"""What a request reads at once is what the stores say, on both databases."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine

from apps.recommend.events.store import EventStore
from apps.recommend.experiments.assignment import Arm
from apps.recommend.experiments.store import ExperimentStore
from apps.recommend.items.store import ItemStore
from apps.recommend.serving.request_reading import RequestReader
from shared.catalogue import BehaviourEvent
from shared.errors import SettingsError
from tests.fakes.recommend_service import EVENTS, ITEMS, NOW

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("limit", [1, 3, 200])
@pytest.mark.parametrize("user", ["ann", "bob", "nobody"])
def test_it_agrees_with_the_stores(engine: Engine, user: str, limit: int) -> None:
    items, events = ItemStore(engine, "default"), EventStore(engine, "default")
    items.upsert(ITEMS, NOW)
    items.delete(["pan"], NOW)
    events.add(EVENTS, NOW)
    EventStore(engine, "toys").add(EVENTS[:1], NOW)
    read = RequestReader(engine, "default").user(user, limit)
    stored = events.history(user, limit)
    assert read.change == items.change()
    assert read.bought == events.bought(user)
    assert read.history.item_ids == stored.item_ids
    assert read.history.types == stored.types
    assert read.history.sessions == stored.sessions
    assert np.array_equal(read.history.strengths, stored.strengths)
    assert np.array_equal(read.history.times, stored.times)


def test_a_purchase_before_the_newest_events_is_known(engine: Engine) -> None:
    events = EventStore(engine, "default")
    for minutes, type in ((9, "purchase"), (2, "view"), (1, "view")):
        at = NOW - timedelta(minutes=minutes)
        events.add([BehaviourEvent(f"e-{minutes}", "ann", f"i-{minutes}", type, at)], NOW)
    read = RequestReader(engine, "default").user("ann", 2)
    assert read.history.item_ids == ("i-2", "i-1")
    assert read.bought == {"i-9"}


def test_whether_an_experiment_runs(engine: Engine) -> None:
    reader = RequestReader(engine, "default")
    store = ExperimentStore(engine, "default")
    assert not reader.user("ann", 10).experimenting
    made = store.create("caps", [Arm("a"), Arm("b")], author="ines", now=NOW)
    assert reader.user("ann", 10).experimenting
    assert not RequestReader(engine, "toys").user("ann", 10).experimenting
    store.stop(made.id, author="ines", now=NOW)
    assert not reader.user("ann", 10).experimenting


def test_a_name_that_is_no_tenant(engine: Engine) -> None:
    with pytest.raises(SettingsError):
        RequestReader(engine, "No Tenant")
