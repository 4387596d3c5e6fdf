"""What a list takes in process, and how soon an event changes it: one thread, a real database.

    python -m benchmarks.recommend_serving beauty | large

``beauty`` trains and serves Amazon Beauty's bundle: 12,101 items. ``large`` serves 100,000 items
known by their texts alone, whose titles are real texts of the public data sets. Prints one JSON
object; run as a process of its own, so that threads are one from the start.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import measure, triptych
from shared.api.recommend_lists import FilterShape, ListBody
from shared.catalogue import BehaviourEvent, CatalogueItem
from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from apps.recommend.bootstrap import Recommender

REQUESTS, WARM_UP = 1_000, 50
USERS, EVENTS = 200, 30


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """The median, the 95th and the 99th percentile."""
    found = np.percentile(milliseconds, [50, 95, 99])
    return dict(zip(("p50", "p95", "p99"), (float(value) for value in found), strict=True))


def timed_lists(wired: Recommender, users: Sequence[str], body: ListBody) -> dict[str, float]:
    """Milliseconds of lists of ten, each for another user, by the clock."""
    spent = []
    for number in range(WARM_UP + REQUESTS):
        begun = time.perf_counter()
        answer = wired.lists.for_user("default", users[number % len(users)], body)
        spent.append(1_000 * (time.perf_counter() - begun))
        assert answer.entries
    return percentiles(spent[WARM_UP:])


def freshness(wired: Recommender, engine: Engine, items: Sequence[str]) -> dict[str, float]:
    """Milliseconds from an event on its way into the database to a list that it changed."""
    from apps.recommend.events.store import EventStore

    store, body = EventStore(engine, "default"), ListBody(record=False)
    spent, changed = [], 0
    for number in range(100):
        user = f"fresh-{number}"
        before = [entry.item for entry in wired.lists.for_user("default", user, body).entries]
        now = datetime.now(UTC)
        event = BehaviourEvent(f"fresh-{number}", user, items[number], "purchase", now)
        begun = time.perf_counter()
        store.add([event], now)
        after = [entry.item for entry in wired.lists.for_user("default", user, body).entries]
        spent.append(1_000 * (time.perf_counter() - begun))
        changed += before != after
    return {**percentiles(spent), "changed": changed / 100}


def beauty(home: Path) -> dict[str, Any]:
    from apps.recommend.bootstrap import recommender
    from models.registry import ModelRegistry
    from shared.storage.engine import open_database, reading

    trained = measure(
        triptych("train", "recommend", "--data", "amazon-beauty", "--no-test"),
        {"TRIPTYCH_HOME": str(home)},
    )
    settings = Settings(home=home)
    engine = open_database(settings.database)
    wired = recommender(settings, engine, ModelRegistry(settings.models))
    with reading(engine) as connection:
        rows = connection.exec_driver_sql(
            "SELECT DISTINCT user_id FROM behaviour_events ORDER BY user_id LIMIT 2000"
        )
        users = [row[0] for row in rows][:: 2000 // USERS]
        items = [
            row[0] for row in connection.exec_driver_sql("SELECT id FROM catalogue_items LIMIT 100")
        ]
    body = ListBody(
        diversity=0.3,
        category_cap=3,
        damping=0.2,
        record=False,
        filters=FilterShape(exclude=items[:50]),  # the set has no prices or categories
    )
    found = {
        "items": 12_101,
        "list": timed_lists(wired, users, body),
        "event_to_list": freshness(wired, engine, items),
        "refit": {"wall": trained.wall, "cpu": trained.cpu, "peak_gb": trained.peak_gb},
    }
    wired.tenants.stop()
    engine.dispose()
    return found


def large(home: Path) -> dict[str, Any]:
    from apps.recommend.bootstrap import recommender
    from apps.recommend.events.store import EventStore
    from apps.recommend.items.store import ItemStore
    from benchmarks.vector_search import STORED, embedded, texts_of
    from models.recommendation.unfitted import unfitted_scorer
    from models.registry import ModelRegistry
    from shared.storage.engine import open_database

    own = Settings()
    if own.data is None:
        raise SystemExit("set TRIPTYCH_DATA to the folder of the public data sets")
    texts = texts_of(own.data, STORED)
    vectors = embedded(texts, own.home / "benchmarks" / "embeddings")
    place = {text[:500].strip(): row for row, text in enumerate(texts)}

    def encode(wanted: Sequence[str]) -> np.ndarray:
        return vectors[[place.get(text, 0) for text in wanted]]

    settings, now = Settings(home=home), datetime.now(UTC)
    engine = open_database(settings.database)
    draw = np.random.default_rng(1)
    items = [
        CatalogueItem(
            f"item-{row:06}",
            text[:500].strip(),
            category=f"category-{draw.integers(12)}",
            price=float(draw.integers(300)),
            attributes={"colour": ("red", "blue")[int(draw.integers(2))]},
        )
        for row, text in enumerate(texts)
    ]
    for start in range(0, len(items), 5_000):
        ItemStore(engine, "default").upsert(items[start : start + 5_000], now)
    events = [
        BehaviourEvent(
            f"{user}-{number}", f"user-{user}", items[int(draw.integers(len(items)))].id, "view",
            now - timedelta(minutes=number),
        )
        for user in range(USERS)
        for number in range(EVENTS)
    ]  # fmt: skip
    EventStore(engine, "default").add(events, now)
    wired = recommender(
        settings,
        engine,
        ModelRegistry(settings.models),
        unfitted_scorer=lambda known: unfitted_scorer(known, encode),
    )
    body = ListBody(
        diversity=0.3,
        category_cap=3,
        damping=0.2,
        record=False,
        filters=FilterShape(
            categories=[f"category-{number}" for number in range(8)],
            min_price=10,
            max_price=250,
            attributes={"colour": ["red"]},
        ),
    )
    found = {
        "items": len(items),
        "list": timed_lists(wired, [f"user-{number}" for number in range(USERS)], body),
        "event_to_list": freshness(wired, engine, [item.id for item in items[:100]]),
    }
    wired.tenants.stop()
    engine.dispose()
    return found


def main() -> None:
    import faiss
    import torch
    from threadpoolctl import threadpool_limits

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["beauty", "large"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as home, threadpool_limits(1):
        print(f"{chosen.part}: this takes minutes", file=sys.stderr)
        found = {"beauty": beauty, "large": large}[chosen.part](Path(home))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
