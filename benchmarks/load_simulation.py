"""From measured costs to a plan: a simulation that must first reproduce what was measured.

    python -m benchmarks.load_simulation --measure     # some minutes; writes load_costs.json
    python -m benchmarks.load_simulation               # simulates from what was measured last

The table stands in ``results/load_plan.md`` afterwards.

**Measured** on one API process: processor seconds of the API and of PostgreSQL a request, for each
kind of request; resident memory, and its growth an item; then, for a mixture that comes by a clock
(Poisson), the answers' times at three rates.

**Simulated**: requests of the same mixture come at random moments to the least busy of so many
processes. Each process has one event loop and so serves one request at a time; a request holds it
for a time around its measured cost (gamma, with the spread below). That is an M/G/k queue, which
has no closed form for k > 1. The same three rates are simulated, and the differences from what was
measured are printed: they are the error of the plan.

**Extrapolated**: the fewest processes whose simulated p99 stays under the target, machines,
memory, and what breaks first on the way to 1,000 messages, stories and lists a second and 100
million items.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, machine

COSTS = RESULTS / "load_costs.json"

SHAPE = 4.0
"""Of the gamma distribution of service times: a spread of half the mean."""

TARGET_SECONDS = 0.1
"""The p99 that a plan must keep."""

MACHINE = {"cores": 16, "memory_gb": 64}
"""The machine that the plan counts in."""

DATABASE_CORES = 32
ITEMS = 100_000_000


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured: seconds of processor time a request, bytes, and answers by the clock.

    ``api`` and ``database`` by kind of request; ``measured`` has one entry a rate: requests a
    second, p50 and p99 in seconds.
    """

    at: str
    machine: Mapping[str, Any]
    api: Mapping[str, float]
    database: Mapping[str, float]
    process_bytes: float
    item_bytes: float
    measured: Sequence[Mapping[str, float]]

    @property
    def mixed(self) -> float:
        """Seconds of one request of the mixture, in which each kind comes as often."""
        return sum(self.api.values()) / len(self.api)


@dataclass(frozen=True, slots=True)
class Simulated:
    """Seconds of answers, and the share of its time that a process was busy."""

    p50: float
    p99: float
    busy: float


def simulate(
    costs: Sequence[float],
    rate: float,
    processes: int,
    *,
    requests: int,
    seed: int,
    shape: float = SHAPE,
) -> Simulated:
    """Let ``requests`` come at ``rate`` a second to ``processes``; the first tenth is warm-up.

    ``costs`` are mean service times in seconds, one a kind, which come equally often. A queue that
    takes in more than it can serve grows for as long as it is simulated: ``busy`` is then 1.
    """
    if rate <= 0 or processes < 1 or not costs:
        raise ValueError("a rate above nought, a process and a kind of request are needed")
    chance = random.Random(seed)
    free = [0.0] * processes  # when each process is free; a heap
    now, worked, waits = 0.0, 0.0, list[float]()
    for _ in range(requests):
        now += chance.expovariate(rate)
        service = chance.gammavariate(shape, chance.choice(costs) / shape)
        begins = max(now, free[0])
        heapq.heapreplace(free, begins + service)
        worked += service
        waits.append(begins + service - now)
    settled = sorted(waits[requests // 10 :])
    span = max(max(free), now)
    return Simulated(
        p50=settled[len(settled) // 2],
        p99=settled[int(0.99 * len(settled))],
        busy=worked / (span * processes),
    )


def fewest_processes(costs: Sequence[float], rate: float, *, seed: int) -> tuple[int, Simulated]:
    """The fewest processes that keep p99 under the target at that rate, and how they do.

    Raises ValueError where one request alone takes longer than the target.
    """
    alone = simulate(costs, 0.01 / max(costs), 1, requests=4_000, seed=seed)
    if alone.p99 > TARGET_SECONDS:
        raise ValueError(f"one request alone takes {alone.p99:.3f} s: no number of processes helps")
    low = max(1, math.ceil(rate * sum(costs) / len(costs)))
    while True:
        found = simulate(costs, rate, low, requests=40_000, seed=seed)
        if found.p99 <= TARGET_SECONDS and found.busy < 0.8:
            return low, found
        low += max(1, low // 50)


def against_measured(costs: Costs, *, seed: int) -> list[dict[str, float]]:
    """Each measured rate beside its simulation; differences as shares of what was measured."""
    lines = []
    for one in costs.measured:
        found = simulate(list(costs.api.values()), one["rate"], 1, requests=40_000, seed=seed)
        lines.append(
            {
                "rate": one["rate"],
                "measured p50": one["p50"],
                "simulated p50": found.p50,
                "measured p99": one["p99"],
                "simulated p99": found.p99,
                "p50 off": found.p50 / one["p50"] - 1,
                "p99 off": found.p99 / one["p99"] - 1,
            }
        )
    return lines


def plan(costs: Costs, scale: float, items: int, *, seed: int) -> dict[str, float]:
    """What is needed for ``scale`` requests a second of each kind and so many items.

    Memory of a process is its own and, in the design of today, a copy of the whole catalogue.
    """
    rate = scale * len(costs.api)
    processes, found = fewest_processes(list(costs.api.values()), rate, seed=seed)
    database = scale * sum(costs.database.values())
    each = costs.process_bytes + items * costs.item_bytes
    by_cores = math.ceil(processes / MACHINE["cores"])
    fit = int(MACHINE["memory_gb"] * 2**30 // each)
    return {
        "a second of each": scale,
        "items": items,
        "processes": processes,
        "busy": found.busy,
        "p99": found.p99,
        "machines by cores": by_cores,
        "machines by memory": math.ceil(processes / fit) if fit else math.inf,
        "gigabytes a process": each / 2**30,
        "database cores": database,
    }


def breaks_first(costs: Costs) -> list[tuple[str, float]]:
    """Limits of the present design, the nearest first, as multiples of 100 a second or items.

    Each is the load at which it is met: items for memory, requests a second of each kind else.
    """
    room = MACHINE["memory_gb"] * 2**30 / MACHINE["cores"] - costs.process_bytes
    items = room / costs.item_bytes
    one_database = 0.7 * DATABASE_CORES / sum(costs.database.values())
    one_machine = 0.7 * MACHINE["cores"] / sum(costs.api.values())
    return sorted(
        [
            ("items, when every core's process holds the catalogue", items / ITEMS),
            ("requests a second of each kind on one machine's cores", one_machine / 1_000),
            (f"requests a second of each kind on a database of {DATABASE_CORES} cores",
             one_database / 1_000),
        ],
        key=lambda pair: pair[1],
    )  # fmt: skip


def report(costs: Costs, *, seed: int) -> str:
    """All of it in Markdown."""
    lines = [
        f"Measured {costs.at} on {costs.machine['processor']}, {costs.machine['cores']} cores, "
        f"load before {costs.machine['load_before']:.1f}.",
        "",
        "| request | API, ms of processor | PostgreSQL, ms of processor |",
        "|---|---|---|",
    ]
    lines += [
        f"| {kind} | {1000 * seconds:.2f} | {1000 * costs.database[kind]:.2f} |"
        for kind, seconds in costs.api.items()
    ]
    lines += [
        "",
        f"A process has {costs.process_bytes / 2**20:.0f} MB, and {costs.item_bytes:,.0f} bytes an "
        "item more.",
        "",
        "| rate | p50 measured | simulated | off | p99 measured | simulated | off |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in against_measured(costs, seed=seed):
        lines.append(
            f"| {one['rate']:.0f}/s | {1000 * one['measured p50']:.1f} ms | "
            f"{1000 * one['simulated p50']:.1f} ms | {one['p50 off']:+.0%} | "
            f"{1000 * one['measured p99']:.1f} ms | {1000 * one['simulated p99']:.1f} ms | "
            f"{one['p99 off']:+.0%} |"
        )
    lines += [
        "",
        f"| a second of each | items | processes | busy | p99 | machines ({MACHINE['cores']} "
        f"cores, {MACHINE['memory_gb']} GB) by cores | by memory | GB a process | database cores |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for scale, items in ((1, 10_000), (10, 100_000), (100, 1_000_000), (1_000, ITEMS)):
        one = plan(costs, scale, items, seed=seed)
        by_memory = one["machines by memory"]
        lines.append(
            f"| {scale:,} | {items:,} | {one['processes']:,} | {one['busy']:.0%} | "
            f"{1000 * one['p99']:.0f} ms | {one['machines by cores']} | "
            f"{'none fits' if math.isinf(by_memory) else by_memory} | "
            f"{one['gigabytes a process']:.1f} | {one['database cores']:.1f} |"
        )
    lines += ["", "What breaks first, as shares of the goal:", ""]
    lines += [f"- {share:.2%} of it: {what}" for what, share in breaks_first(costs)]
    return "\n".join(lines)


def read_costs(file: Path = COSTS) -> Costs:
    """What was measured last. SystemExit where nothing was."""
    if not file.is_file():
        raise SystemExit(f"{file} is not there: run with --measure")
    return Costs(**json.loads(file.read_text(encoding="utf-8")))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure where that is asked for, then simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--items", type=int, default=10_000, help="that memory is measured with")
    parser.add_argument("--costs", type=Path, default=COSTS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    if asked.measure:
        from benchmarks.serving_rows.unit_costs import measure_costs

        with tempfile.TemporaryDirectory(prefix="triptych-costs-") as folder:
            found = measure_costs(
                Path(folder) / "home", seconds=asked.seconds, items=asked.items, seed=asked.seed
            )
        costs = Costs(
            at=datetime.now(UTC).isoformat(timespec="minutes"), machine=machine(), **found
        )
        asked.costs.write_text(json.dumps(asdict(costs), indent=1) + "\n", encoding="utf-8")
    told = report(read_costs(asked.costs), seed=asked.seed)
    asked.costs.with_name("load_plan.md").write_text(f"# The plan, simulated\n\n{told}\n", "utf-8")
    print(told)


if __name__ == "__main__":
    main()
