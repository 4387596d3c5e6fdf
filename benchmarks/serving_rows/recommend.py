"""Lists for users from 100,000 items over HTTP, 32 clients, beside a bare flat FAISS index.

    python -m benchmarks.serving_rows.recommend     # two minutes

The catalogue is known by its texts alone; their vectors are drawn, since a list costs the same
whatever they mean. Lists hold ten items with their reasons, hide what was bought, and are read
from a real database; ``filtered`` adds diversity, caps, damping and three filters. FAISS searches
the same vectors for ten neighbours of one vector at a time, on one thread, with nothing around it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from apps.commands.serving import address_of, listen
from apps.commands.worker_processes import worker_environment
from benchmarks.serving_rows.http import SECONDS
from benchmarks.serving_rows.load import load
from benchmarks.serving_rows.row import ServingRow, print_rows
from shared.serving.connection_counts import ConnectionCounts, counts_file

ITEMS, DIMENSIONS, USERS, EVENTS, CLIENTS = 100_000, 384, 500, 30, 32
FILTERED = {
    "diversity": 0.3,
    "category_cap": 3,
    "damping": 0.2,
    "filters": {
        "categories": [f"category-{number}" for number in range(8)],
        "min_price": 10,
        "max_price": 250,
    },
}


def vectors() -> np.ndarray:
    """Unit vectors float32 [items, dimensions]."""
    drawn = np.random.default_rng(1).normal(size=(ITEMS, DIMENSIONS)).astype(np.float32)
    unit: np.ndarray = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def encode() -> Callable[[Sequence[str]], np.ndarray]:
    """The vector of each text ``title NUMBER``; other texts have the first one's."""
    drawn = vectors()

    def encoded(texts: Sequence[str]) -> np.ndarray:
        rows = [int(text.split()[1]) if text.startswith("title ") else 0 for text in texts]
        return drawn[rows]

    return encoded


def fill(home: Path) -> None:
    """The catalogue and what users did, in a database below ``home``."""
    from apps.recommend.events.store import EventStore
    from apps.recommend.items.store import ItemStore
    from shared.catalogue import BehaviourEvent, CatalogueItem
    from shared.settings import Settings
    from shared.storage.engine import open_database

    draw, now = np.random.default_rng(2), datetime.now(UTC)
    engine = open_database(Settings(home=home).database)
    items = [
        CatalogueItem(
            f"item-{row:06}",
            f"title {row} of the catalogue",
            category=f"category-{draw.integers(12)}",
            price=float(draw.integers(300)),
        )
        for row in range(ITEMS)
    ]
    for start in range(0, ITEMS, 5_000):
        ItemStore(engine, "default").upsert(items[start : start + 5_000], now)
    events = [
        BehaviourEvent(
            f"{user}-{number}",
            f"user-{user}",
            items[int(draw.integers(ITEMS))].id,
            "view",
            now - timedelta(minutes=number),
        )
        for user in range(USERS)
        for number in range(EVENTS)
    ]
    EventStore(engine, "default").add(events, now)
    engine.dispose()


def serve(number: int, shared: ConnectionCounts | None) -> None:
    """The recommender alone behind the API, over the drawn vectors, on an inherited socket."""
    from apps.api import create_app
    from apps.commands.serving import run_server
    from apps.recommend.bootstrap import served_recommend
    from models.recommendation.unfitted import unfitted_scorer
    from shared.settings import Settings

    encoded = encode()
    app = create_app(
        Settings(),
        require_keys=False,
        loopback_only=True,
        served=(
            lambda settings, engine, registry: served_recommend(
                settings,
                engine,
                registry,
                unfitted_scorer=lambda known: unfitted_scorer(known, encoded),
            ),
        ),
    )
    with socket.socket(fileno=number) as opened:
        run_server(app, opened, shared=shared)


@contextmanager
def serving(home: Path, processes: int) -> Iterator[str]:
    """So many processes on one socket, as ``triptych serve --processes`` starts them, each with
    the catalogue in memory."""
    cores = os.cpu_count() or 1
    environment = worker_environment(processes, cores, {**os.environ, "TRIPTYCH_HOME": str(home)})
    environment["OMP_NUM_THREADS"] = "1"
    with listen("127.0.0.1", 0) as opened:
        opened.set_inheritable(True)
        counts = counts_file(processes)
        inherited = (opened.fileno(), counts.fileno())
        command = [sys.executable, "-m", "benchmarks.serving_rows.recommend", "serve"]
        running = [
            subprocess.Popen(
                [*command, *map(str, (*inherited, place if processes > 1 else -1))],
                env=environment,
                pass_fds=inherited,
                stderr=subprocess.DEVNULL,
                stdout=2,
            )
            for place in range(processes)
        ]
        url = address_of(opened)
        try:
            _warm_up(url, processes)
            yield url
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(30)


def _warm_up(url: str, processes: int) -> None:
    """Ask until nobody has to read the catalogue any more: nobody says which process answers."""
    quick = 0
    with ThreadPoolExecutor(8 * processes) as asking:
        while quick < 3:
            begun = time.monotonic()
            list(asking.map(first_list, [url] * (8 * processes)))
            quick = quick + 1 if time.monotonic() - begun < 1.0 else 0


def first_list(url: str) -> None:
    """The first list without a bundle reads the whole catalogue, which takes seconds."""
    asked = urllib.request.Request(
        f"{url}/v1/recommend/users/user-0/list",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=120) as answer:
        assert json.load(answer)["entries"]


def flat_index() -> dict[str, float]:
    """Searches a second of FAISS's flat index alone, one at a time, and their p99 in ms."""
    import faiss

    faiss.omp_set_num_threads(1)
    stored = vectors()
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(stored)
    spent = []
    for row in range(300):
        began = time.perf_counter()
        index.search(stored[row : row + 1], 10)
        spent.append(time.perf_counter() - began)
    return {"rate": 1 / float(np.mean(spent)), "p99": 1_000 * float(np.percentile(spent, 99))}


def main() -> None:
    """Measure, or be the server that is measured."""
    if sys.argv[1:2] == ["serve"]:
        number, counts, place = map(int, sys.argv[2:5])
        serve(number, None if place < 0 else ConnectionCounts(counts, place))
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        fill(home)
        for processes, told in ((1, "one process"), (2, "two processes")):
            with serving(home, processes) as url:
                for name, body in (("plain", {}), ("filtered", FILTERED)):
                    bodies = Path(folder) / f"{name}.jsonl"
                    content = json.dumps({**body, "record": False})
                    bodies.write_text(
                        "\n".join(
                            f"/v1/recommend/users/user-{user}/list\t{content}"
                            for user in range(USERS)
                        ),
                        encoding="utf-8",
                    )
                    found[f"{name}, {told}"] = load(
                        url, "/", bodies, clients=CLIENTS, seconds=SECONDS
                    )
    flat = flat_index()
    print_rows(
        [
            ServingRow(
                f"list for a user, {ITEMS:,} items, {CLIENTS} clients, {name}",
                f"p50 {one['p50']:.0f} ms, p99 {one['p99']:.0f} ms; {one['rate']:.0f} a second; "
                f"{sum(one['errors'].values())} errors",
                f"flat FAISS alone: {flat['rate']:.0f} a second, p99 {flat['p99']:.1f} ms",
                "p99 <= 50 ms" if name.startswith("plain") else "",
                (one["p99"] <= 50 and not one["errors"]) if name.startswith("plain") else None,
                {**one, "flat": flat},
            )
            for name, one in found.items()
        ]
    )


if __name__ == "__main__":
    main()
