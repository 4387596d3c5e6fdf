"""The lease, two watchers, the scheduler, and processes that are killed in the middle."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from apps.finance.feeds import FeedStore
from apps.finance.ingest.counts import IngestCounts
from apps.finance.ingest.pipeline import Ingestion
from apps.finance.ingest.watching import MISSED_RUNS, SideJob, Watcher, watch, work_once
from shared.storage.counters import counter_value
from shared.storage.engine import open_database, reading
from shared.storage.finance_tables import leases, stories, story_sources
from shared.storage.leases import Lease
from shared.storage.tables import audit_log
from tests.fakes.feed_fetcher import CannedFetcher, fetched, rss
from tests.fakes.story_scorer import WordScorer

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class HandClock:
    """Both clocks, moved by hand; ``jump`` moves the wall's alone."""

    wall: datetime = NOW
    seconds: float = 0.0

    def passes(self, seconds: float) -> datetime:
        self.seconds += seconds
        self.wall += seconds * SECOND
        return self.wall

    def monotonic(self) -> float:
        return self.seconds


def lease(engine: Engine, holder: str) -> Lease:
    return Lease(engine, "watch", holder, seconds=45)


def watcher(engine: Engine, holder: str, clock: HandClock, **answers: object) -> Watcher:
    fetcher = CannedFetcher(
        {f"http://{name}.example/rss": answer for name, answer in answers.items()}
    )  # type: ignore[misc]
    ingestion = Ingestion(engine, fetcher, WordScorer(), jitter=lambda: 0.0)
    return Watcher(engine, ingestion, lease(engine, holder), monotonic=clock.monotonic)


def missed(engine: Engine) -> int:
    with reading(engine) as connection:
        return counter_value(connection, MISSED_RUNS)


# The lease


def test_a_lease_is_held_by_one_until_it_ends_or_is_released(engine: Engine) -> None:
    ann, bo = lease(engine, "Ann"), lease(engine, "Bo")
    assert ann.acquire(NOW)
    assert ann.acquire(NOW)
    assert not bo.acquire(NOW + 44 * SECOND)
    assert ann.renew(NOW + 44 * SECOND)
    assert not bo.acquire(NOW + 88 * SECOND)
    assert bo.acquire(NOW + 89 * SECOND)
    assert not ann.renew(NOW + 90 * SECOND)
    ann.release()  # not Ann's to release
    assert not ann.acquire(NOW + 90 * SECOND)
    bo.release()
    assert ann.acquire(NOW + 90 * SECOND)


def test_of_many_that_ask_at_once_one_gets_the_lease(engine: Engine) -> None:
    got: list[bool] = []
    barrier = threading.Barrier(6)

    def ask(holder: str) -> None:
        barrier.wait()
        got.append(lease(engine, holder).acquire(NOW))

    threads = [threading.Thread(target=ask, args=(f"holder {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]


def test_a_lease_from_a_clock_that_ran_ahead_stops_nobody(sqlite_engine: Engine) -> None:
    assert lease(sqlite_engine, "Ann").acquire(NOW + timedelta(days=1))
    assert lease(sqlite_engine, "Bo").acquire(NOW)


# Two watchers


def test_one_of_two_works_and_the_other_follows_within_a_minute_of_its_death(
    sqlite_engine: Engine,
) -> None:
    clock = HandClock()
    FeedStore(sqlite_engine).add("http://a.example/rss", None, 60, "Ann", NOW)
    answer = fetched(rss([("A", "Acme soars", "")]))
    first = watcher(sqlite_engine, "first", clock, a=answer)
    second = watcher(sqlite_engine, "second", clock, a=answer)
    assert first.hold(clock.wall)
    assert not second.hold(clock.wall)
    assert second.tick(clock.wall) is None
    assert first.tick(clock.wall) == IngestCounts(polls=1, entries=1, distinct=1, stories=1)
    # The first dies now; the second asks every 15 s.
    waited = 0.0
    while not second.hold(clock.passes(15)):
        waited += 15
    assert waited + 15 <= 60
    assert second.tick(clock.passes(15)) == IngestCounts(polls=1, entries=1, repeats=1)


def test_a_watcher_that_slept_too_long_does_not_go_on(sqlite_engine: Engine) -> None:
    clock = HandClock()
    first, second = (watcher(sqlite_engine, name, clock) for name in ("first", "second"))
    assert first.hold(clock.wall)
    clock.passes(46)
    assert not first.works
    assert second.hold(clock.wall)
    assert not first.hold(clock.wall)
    assert first.tick(clock.wall) is None
    assert second.works


def test_a_watcher_that_stops_leaves_the_lease_at_once(sqlite_engine: Engine) -> None:
    clock = HandClock()
    first, second = (watcher(sqlite_engine, name, clock) for name in ("first", "second"))
    assert first.hold(clock.wall)
    first.stop()
    assert not first.works
    assert not first.hold(clock.wall)
    assert second.hold(clock.wall)
    assert missed(sqlite_engine) == 0


def test_runs_that_were_missed_are_counted(sqlite_engine: Engine) -> None:
    clock = HandClock()
    first, second = (watcher(sqlite_engine, name, clock) for name in ("first", "second"))
    first.hold(clock.wall)
    first.tick(clock.wall)
    first.hold(clock.passes(15))
    first.tick(clock.wall)
    assert missed(sqlite_engine) == 0
    first.hold(clock.passes(40))
    first.tick(clock.passes(5))  # 45 s after the last: two runs are missing
    assert missed(sqlite_engine) == 2
    second.hold(clock.passes(40 + 60))  # nobody worked for a minute
    assert missed(sqlite_engine) == 2 + 3


def test_a_clock_that_is_set_back_a_day_stops_neither_lease_nor_feeds(
    sqlite_engine: Engine,
) -> None:
    clock = HandClock()
    FeedStore(sqlite_engine).add("http://a.example/rss", None, 60, "Ann", NOW)
    one = watcher(sqlite_engine, "one", clock, a=fetched(rss([("A", "Acme soars", "")])))
    one.hold(clock.wall)
    one.tick(clock.wall)
    clock.wall -= timedelta(days=2)
    assert one.hold(clock.passes(15))
    counts = one.tick(clock.wall)
    assert counts == IngestCounts(polls=1, entries=1, repeats=1)
    assert missed(sqlite_engine) == 0


def test_one_round_works_and_leaves_the_lease(sqlite_engine: Engine) -> None:
    clock, told = HandClock(), []
    one, other = (watcher(sqlite_engine, name, clock) for name in ("one", "other"))
    job = SideJob("deliver", 1.0, told.append)
    work_once(one, [job], clock=lambda: clock.wall)
    assert told == [NOW]
    assert other.hold(clock.wall)
    work_once(watcher(sqlite_engine, "third", clock), [job], clock=lambda: clock.wall)
    assert told == [NOW]


def test_the_scheduler_runs_all_jobs_until_it_is_stopped(sqlite_engine: Engine) -> None:
    store, rounds, told = FeedStore(sqlite_engine), [], []
    store.add("http://a.example/rss", None, 60, "Ann", NOW)
    fetcher = CannedFetcher({"http://a.example/rss": fetched(rss([("A", "Acme soars", "")]))})
    one = Watcher(
        sqlite_engine,
        Ingestion(sqlite_engine, fetcher, WordScorer()),
        lease(sqlite_engine, "one"),
        tick_seconds=0.05,
        report=lambda counts, seconds: rounds.append(counts),
    )
    stops: list[Callable[[], None]] = []
    thread = threading.Thread(
        target=watch,
        args=(one,),
        kwargs={
            "tick_seconds": 0.05,
            "side_jobs": [SideJob("deliver", 0.05, told.append)],
            "on_start": stops.append,
        },
    )
    thread.start()
    wait_until(lambda: len(rounds) >= 3 and len(told) >= 2)
    stops[0]()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert sum((counts.distinct for counts in rounds), 0) == 1
    assert lease(sqlite_engine, "other").acquire(datetime.now(UTC))


# Processes that are killed

FEEDS, ENTRIES, KILLS = 160, 12, 10


@dataclass
class FeedServer:
    """Serves ``FEEDS`` feeds, each with its ETag; ``askers`` are who asked, one a request."""

    url: str = ""
    askers: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def document(number: int) -> bytes:
    """Every story stands in two feeds that follow one another; no two share a word."""
    first = (number // 2) * ENTRIES
    return rss(
        [
            (f"F{number}-E{entry}", " ".join(f"w{first + entry}x{word}" for word in range(6)), "")
            for entry in range(ENTRIES)
        ]
    )


@contextmanager
def feed_server() -> Iterator[FeedServer]:
    state = FeedServer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            with state.lock:
                state.askers.append(self.headers["User-Agent"])
            number = int(self.path.strip("/"))
            etag = f'"{number}"'
            if self.headers.get("If-None-Match") == etag:
                self.send_response(304)
                self.end_headers()
                return
            body = document(number)
            self.send_response(200)
            self.send_header("ETag", etag)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Process:
    """A watcher process."""

    def __init__(self, url: str, log: Path) -> None:
        self.output = log.open("w")
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.watcher_process", url, "0.03"],
            cwd=ROOT,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(timeout=10)
        self.output.close()


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def count(engine: Engine, table: object) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]


def test_killed_in_mid_ingest_ten_times_no_story_is_lost_and_none_doubled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'triptych.sqlite3'}"
    chance = random.Random(20260301)
    with ExitStack() as stack, feed_server() as server:
        engine = open_database(url)
        stack.callback(engine.dispose)
        store = FeedStore(engine)
        for number in range(FEEDS):
            store.add(f"{server.url}/{number}", None, 3600, "Ann", datetime.now(UTC))
        processes: list[Process] = []

        def start() -> Process:
            one = Process(url, tmp_path / f"process-{len(processes)}.log")
            stack.callback(one.kill)
            processes.append(one)
            return one

        def at_work() -> Process | None:
            with reading(engine) as connection:
                holder = connection.scalar(select(leases.c.holder))
            return next((one for one in running if f"process {one.popen.pid}" == holder), None)

        def stored_since(before: int) -> bool:
            return count(engine, story_sources) > before

        running = [start(), start()]
        stored = [0]
        for kill in range(KILLS):
            wait_until(lambda: at_work() is not None)
            # A slow machine may need longer than the pause for its first feed: every other kill
            # comes when there is something new to lose.
            if kill % 2:
                wait_until(partial(stored_since, stored[-1]))
            time.sleep(chance.uniform(0.05, 0.6))
            working = at_work()
            assert working is not None
            working.kill()
            running.remove(working)
            running.append(start())
            stored.append(count(engine, story_sources))
        assert stored[-1] < FEEDS * ENTRIES, "it was done before the last kill: no test"
        assert len(set(stored)) > KILLS // 2, "most kills came before anything new was stored"
        wait_until(lambda: not store.due(datetime.now(UTC)))
        for one in running:
            one.popen.send_signal(signal.SIGTERM)
        assert [one.popen.wait(timeout=15) for one in running] == [0, 0]
        # Two watchers were up all the time: had both worked, each feed would be fetched twice, and
        # by turns. Who takes over fetches again what the one before had fetched ahead; where the
        # machine is slow a lease runs out now and then without a kill.
        assert FEEDS <= len(server.askers) < FEEDS * 1.8
        turns = sum(one != other for one, other in pairwise(server.askers))
        assert KILLS / 2 < turns < FEEDS / 2
        with reading(engine) as connection:
            sources = connection.execute(
                select(story_sources.c.story_id, story_sources.c.identity, story_sources.c.title)
            ).all()
        titles: dict[str, set[str]] = {}
        for source in sources:
            titles.setdefault(source.title, set()).add(source.story_id)
        assert len(sources) == FEEDS * ENTRIES
        assert len({source.identity for source in sources}) == FEEDS * ENTRIES
        assert len(titles) == FEEDS // 2 * ENTRIES
        assert {len(ids) for ids in titles.values()} == {1}, "a wire story became two"
        assert count(engine, stories) == FEEDS // 2 * ENTRIES
        alerts = select(audit_log).where(audit_log.c.action == "alert").subquery()
        assert count(engine, alerts) == FEEDS // 2 * ENTRIES, "an alert was lost or doubled"
        assert {feed.failures for feed in store.list()} == {0}
