"""Ten minutes at 70 % of the peak: no error, and memory that does not grow.

    python -m benchmarks.serving_rows.soak
    python -m benchmarks.serving_rows.soak --seconds 60 --processes 1

First the peak is found: the most answers a second that 32 clients get, each of which asks again
when it has its answer. Then requests come by a clock at 70 % of that, at random moments (Poisson)
and whether or not earlier ones were answered. The mixture is that of the three apps: messages are
classified, stories scored, lists asked for, and one request in twenty is an event that is written.
Memory is that of the API's processes, resident, each second; the first fifth of the time is
warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil

from benchmarks.serving_rows.loading import Answers, Connections, Make, closed_loop, open_loop
from benchmarks.serving_rows.resident import ResidentMemory
from benchmarks.serving_rows.row import ServingRow, print_rows
from benchmarks.serving_rows.running_system import RunningSystem, running_system
from benchmarks.serving_rows.trained_home import trained_home

SHARE_OF_PEAK = 0.7
MOST_GROWTH = 0.03
CLIENTS = 32
MESSAGES = (
    "where on earth is my parcel",
    "I want to send it back",
    "please cancel what I ordered yesterday",
    "can I have an invoice for the last order",
)
STORIES = ("Profits of the bank fell sharply", "The maker of engines raises its forecast")


def mixture(url: str) -> Make:
    """Requests by number: of each app, as far as its model is in use."""
    asks: list[Callable[[int], tuple[str, str, object]]] = [
        lambda n: ("POST", "/v1/support/classify", {"texts": [MESSAGES[n % len(MESSAGES)]]}),
        lambda n: ("POST", "/v1/finance/score", {"texts": [STORIES[n % len(STORIES)]]}),
        lambda n: ("POST", f"/v1/recommend/users/user-{n % 500}/list", {"k": 10}),
    ]
    with httpx2.Client(base_url=url, timeout=30) as client:
        usable = [one for one in asks if client.request(*one(0)[:2], json=one(0)[2]).is_success]
        events = [{"id": "soak-item", "title": "Soaked item"}]
        client.post("/v1/recommend/items", json={"items": events}).raise_for_status()
    if not usable:
        raise SystemExit("no app answers: are models in use?")

    def make(number: int) -> tuple[str, str, object]:
        if number % 20 == 19:
            event = {"user": f"user-{number % 500}", "item": "soak-item"}
            return "POST", "/v1/recommend/events", {"events": [event]}
        return usable[number % len(usable)](number)

    return make


def api_processes(system: RunningSystem) -> list[psutil.Process]:
    """The workers of the API, or the one process that is all of it."""
    return [psutil.Process(one) for one in system.workers() or [system.parts["api"].pid]]


def soak(
    system: RunningSystem, *, peak_seconds: float, seconds: float, seed: int
) -> tuple[float, Answers, ResidentMemory]:
    """The peak in answers a second, what came back in the soak, and memory meanwhile."""
    address = urlsplit(system.url)
    assert address.hostname is not None
    assert address.port is not None
    make = mixture(system.url)

    async def run() -> tuple[float, Answers, ResidentMemory]:
        connections = Connections(address.hostname or "", address.port or 0)
        await closed_loop(connections, make, CLIENTS, min(5.0, peak_seconds))  # warms up
        started = time.perf_counter()
        found = await closed_loop(connections, make, CLIENTS, peak_seconds)
        peak = len(found.seconds) / (time.perf_counter() - started)
        if found.errors:
            print(f"  errors at the peak: {dict(found.errors)}", file=sys.stderr)
        print(f"  peak {peak:.0f} a second", file=sys.stderr)
        processes = api_processes(system)
        memory = ResidentMemory(lambda: processes)
        rate = SHARE_OF_PEAK * peak
        answers = await open_loop(connections, make, rate, seconds, random.Random(seed))
        memory.close()
        connections.close()
        return peak, answers, memory

    return asyncio.run(run())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--peak-seconds", type=float, default=20.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="triptych-soak-") as folder:
        home = trained_home(Path(folder) / "home")
        with running_system(
            home, postgres=True, processes=asked.processes, watcher=False, pages=False
        ) as system:
            peak, answers, memory = soak(
                system, peak_seconds=asked.peak_seconds, seconds=asked.seconds, seed=asked.seed
            )
    grown, before, after = memory.growth()
    errors = sum(answers.errors.values())
    p50, p95, p99 = (1000 * answers.percentile(share) for share in (0.5, 0.95, 0.99))
    print_rows(
        [
            ServingRow(
                name=f"soak: {asked.seconds / 60:.0f} minutes at 70 % of the peak, by a clock",
                measured=(
                    f"{len(answers.seconds):,} answers, {errors} errors, p50 {p50:.0f} ms, "
                    f"p99 {p99:.0f} ms; memory {before:.0f} to {after:.0f} MB ({grown:+.1%})"
                ),
                peer="",
                reach="no error, memory flat within 3 % after warm-up",
                met=errors == 0 and abs(grown) <= MOST_GROWTH,
                details={
                    "peak a second": round(peak, 1),
                    "rate a second": round(SHARE_OF_PEAK * peak, 1),
                    "p95 ms": round(p95, 1),
                    "longest ms": round(1000 * max(answers.seconds), 1),
                    "errors": dict(answers.errors),
                    "sent late by at most s": round(answers.late, 3),
                    "processes": asked.processes,
                    "memory MB each 10 s": [
                        round(size / 2**20, 1) for _, size in memory.readings[::10]
                    ],
                },
            )
        ]
    )


if __name__ == "__main__":
    main()
