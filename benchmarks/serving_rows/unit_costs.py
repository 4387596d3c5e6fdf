"""What one request costs: processor seconds of the API and of PostgreSQL, and bytes an item."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil

from benchmarks.serving_rows.loading import Connections, Make, closed_loop, open_loop
from benchmarks.serving_rows.running_system import RunningSystem, running_system
from benchmarks.serving_rows.trained_home import trained_home

SHARES = (0.3, 0.5, 0.7)
"""Of the peak: the rates at which answers by the clock are measured."""

MESSAGES = ("where on earth is my parcel", "I want to send it back", "an invoice, please")
STORIES = ("Profits of the bank fell sharply", "The maker of engines raises its forecast")
MAKES: dict[str, Make] = {
    "message": lambda n: ("POST", "/v1/support/chat", {"text": MESSAGES[n % len(MESSAGES)]}),
    "story": lambda n: ("POST", "/v1/finance/score", {"texts": [STORIES[n % len(STORIES)]]}),
    "list": lambda n: ("POST", f"/v1/recommend/users/user-{n % 500}/list", {"k": 10}),
    "event": lambda n: (
        "POST",
        "/v1/recommend/events",
        {"events": [{"user": f"user-{n % 500}", "item": "item-0"}]},
    ),
}


def processor_seconds(processes: Sequence[psutil.Process]) -> float:
    """Of these and of the children that live."""
    total = 0.0
    for one in processes:
        for part in (one, *one.children(recursive=True)):
            try:
                times = part.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
    return total


def measure_costs(home: Path, *, seconds: float, items: int, seed: int) -> dict[str, Any]:
    """All fields of ``Costs`` but its date and machine; one process with one thread.

    A kind whose app has no model in use is left out.
    """
    trained_home(home)
    threads = {"TRIPTYCH_SERVING_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with running_system(
        home, postgres=True, processes=1, watcher=False, pages=False, variables=threads
    ) as system:
        return asyncio.run(_measure(system, seconds, items, seed))


async def _measure(system: RunningSystem, seconds: float, items: int, seed: int) -> dict[str, Any]:
    address = urlsplit(system.url)
    connections = Connections(address.hostname or "", address.port or 0)
    api = psutil.Process(system.parts["api"].pid)
    database = psutil.Process(system.parts["postgresql"].pid)
    _add_items(system.url, 0, 100)
    usable = {
        kind: make for kind, make in MAKES.items() if await connections.ask(*make(0)) // 100 == 2
    }
    costs: dict[str, dict[str, float]] = {"api": {}, "database": {}}
    for kind, make in usable.items():
        await closed_loop(connections, make, 4, min(3.0, seconds))
        before = processor_seconds([api]), processor_seconds([database])
        # Few at a time: batches as small as they are when a process is not overrun.
        answers = await closed_loop(connections, make, 2, seconds)
        after = processor_seconds([api]), processor_seconds([database])
        count = len(answers.seconds)
        if answers.errors or not count:
            raise SystemExit(f"{kind}: {dict(answers.errors)}")
        costs["api"][kind] = (after[0] - before[0]) / count
        costs["database"][kind] = (after[1] - before[1]) / count
        print(f"  {kind}: {1000 * costs['api'][kind]:.2f} ms", file=sys.stderr)
    kinds = list(usable.values())

    def mixed(number: int) -> tuple[str, str, object]:
        return kinds[number % len(kinds)](number)

    mean = sum(costs["api"].values()) / len(kinds)
    measured = []
    for share in SHARES:
        chance = random.Random(seed)
        answers = await open_loop(connections, mixed, share / mean, seconds, chance)
        if answers.errors:
            raise SystemExit(f"at {share:.0%} of the peak: {dict(answers.errors)}")
        quantiles = {"p50": answers.percentile(0.5), "p99": answers.percentile(0.99)}
        measured.append({"rate": share / mean, **quantiles})
    await connections.ask(*MAKES["list"](1))
    small = api.memory_info().rss
    _add_items(system.url, 100, items)
    # The process takes new items in, and embeds their texts, when lists are asked for.
    await connections.ask(*MAKES["list"](1))
    query = {"text": "a red kettle", "k": 5}
    await connections.ask("POST", "/v1/recommend/query", query)
    grown = api.memory_info().rss - small
    connections.close()
    return {
        **costs,
        "process_bytes": float(small),
        "item_bytes": grown / max(1, items - 100),
        "measured": measured,
    }


def _add_items(url: str, begin: int, end: int) -> None:
    with httpx2.Client(base_url=url, timeout=300) as client:
        for first in range(begin, end, 500):
            lines = [
                {
                    "id": f"item-{n}",
                    "title": f"Thing number {n}",
                    "text": "Made of steel and oak, for kitchens with little room.",
                    "category": f"kind-{n % 40}",
                }
                for n in range(first, min(end, first + 500))
            ]
            client.post("/v1/recommend/items", json={"items": lines}).raise_for_status()
