"""The simulation against queues whose answers are known, and the load generator against a clock."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.load_simulation import (
    TARGET_SECONDS,
    Costs,
    against_measured,
    breaks_first,
    fewest_processes,
    plan,
    read_costs,
    report,
    simulate,
)
from benchmarks.serving_rows.loading import Answers, Connections, closed_loop, open_loop

pytestmark = pytest.mark.unit

COSTS = Costs(
    at="2026-01-01T00:00+00:00",
    machine={"processor": "none", "cores": 2, "load_before": 0.0},
    api={"message": 0.004, "story": 0.008, "list": 0.006},
    database={"message": 0.001, "story": 0.0, "list": 0.001},
    process_bytes=200 * 2**20,
    item_bytes=2_000.0,
    measured=[{"rate": 50.0, "p50": 0.006, "p99": 0.02}],
)


def test_a_queue_with_one_server_agrees_with_its_formula() -> None:
    # M/M/1: the time in the system is exponential with rate mu - lambda.
    found = simulate([0.01], 60.0, 1, requests=200_000, seed=1, shape=1.0)
    assert found.p50 == pytest.approx(math.log(2) / 40, rel=0.05)
    assert found.p99 == pytest.approx(math.log(100) / 40, rel=0.1)
    assert found.busy == pytest.approx(0.6, rel=0.02)


def test_a_queue_with_many_servers_agrees_with_erlang() -> None:
    # M/M/2 at half its capacity: P(wait) = 1/3 (Erlang C), so the median request does not wait.
    found = simulate([0.01], 100.0, 2, requests=200_000, seed=2, shape=1.0)
    assert found.busy == pytest.approx(0.5, rel=0.02)
    mu, rho, waits = 100.0, 0.5, 1 / 3
    # The tail: P(T > t) = e^(-mu t) (1 + waits (1 - e^(-mu t (1 - 2 rho))) / (1 - 2 rho)); its
    # limit for 2 rho = 1 is e^(-mu t) (1 + waits mu t).
    assert 1 - 2 * rho == 0
    tail = math.exp(-mu * found.p99) * (1 + waits * mu * found.p99)
    assert tail == pytest.approx(0.01, rel=0.15)


def test_more_than_can_be_served_never_settles() -> None:
    few = simulate([0.01], 150.0, 1, requests=10_000, seed=1)
    many = simulate([0.01], 150.0, 1, requests=40_000, seed=1)
    assert many.p50 > 2 * few.p50
    assert many.busy > 0.99


def test_what_cannot_be_simulated_is_refused() -> None:
    for costs, rate, processes in (([], 1.0, 1), ([0.01], 0.0, 1), ([0.01], 1.0, 0)):
        with pytest.raises(ValueError, match="needed"):
            simulate(costs, rate, processes, requests=10, seed=1)


def test_the_fewest_processes_are_enough_and_one_less_is_not() -> None:
    costs = list(COSTS.api.values())
    count, found = fewest_processes(costs, 1_000.0, seed=1)
    assert found.p99 <= TARGET_SECONDS
    less = simulate(costs, 1_000.0, count - 1, requests=40_000, seed=1)
    assert less.p99 > TARGET_SECONDS or less.busy >= 0.8
    with pytest.raises(ValueError, match="no number of processes"):
        fewest_processes([0.2], 1.0, seed=1)


def test_a_plan_grows_with_its_load_and_says_when_memory_does_not_do() -> None:
    small, great = plan(COSTS, 10, 10_000, seed=1), plan(COSTS, 1_000, 100_000_000, seed=1)
    assert small["processes"] < great["processes"]
    assert great["database cores"] == pytest.approx(2.0)
    assert small["machines by memory"] >= 1
    assert math.isinf(great["machines by memory"])
    assert [share for _, share in breaks_first(COSTS)] == sorted(
        share for _, share in breaks_first(COSTS)
    )


def test_the_report_shows_how_far_off_the_simulation_is(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text(json.dumps(asdict(COSTS)))
    (line,) = against_measured(read_costs(file), seed=1)
    told = report(read_costs(file), seed=1)
    assert f"{line['p50 off']:+.0%}" in told
    assert "none fits" in told
    with pytest.raises(SystemExit, match="--measure"):
        read_costs(tmp_path / "missing.json")


async def _served(
    status: int, delay: float, ask: Callable[[Connections], Awaitable[Answers]]
) -> Answers:
    """Call ``ask`` with connections to a server that answers so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            await asyncio.sleep(delay)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    connections = Connections("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        return await ask(connections)
    finally:
        connections.close()
        server.close()
        await asyncio.sleep(0.01)


def make(number: int) -> tuple[str, str, object]:
    return "POST", "/", {"number": number}


def test_the_open_loop_sends_at_its_rate_whether_or_not_answers_came() -> None:
    async def run(connections: Connections) -> Answers:
        return await open_loop(connections, make, 200.0, 1.0, random.Random(1))

    answers = asyncio.run(_served(200, 0.3, run))
    expected = 200
    assert len(answers.seconds) == pytest.approx(expected, abs=5 * math.sqrt(expected))
    assert min(answers.seconds) >= 0.29
    assert not answers.errors


def test_the_closed_loop_keeps_so_many_in_flight_and_counts_refusals() -> None:
    async def run(connections: Connections) -> Answers:
        return await closed_loop(connections, make, 4, 0.5)

    answers = asyncio.run(_served(503, 0.05, run))
    assert 8 <= answers.errors["503"] <= 48
    assert not answers.seconds


def test_nobody_there_is_an_error_and_no_exception() -> None:
    connections = Connections("127.0.0.1", 1)
    answers = asyncio.run(closed_loop(connections, make, 1, 0.02))
    assert answers.errors["ConnectionRefusedError"] >= 1
