"""kill -9 of a random process, again and again, under load on every writing route.

    python -m benchmarks.serving_rows.recovery                 # 20 kills on PostgreSQL
    python -m benchmarks.serving_rows.recovery --kills 5 --sqlite --seed 3

Victims are the API's supervisor, one of its processes, the watcher, the pages, and the database
server. Three things are asked of each kill. How long no write of some kind was acknowledged; how
long until what was killed does its own work again (the API's
processes are as many as before and ready, the watcher holds its lease, the pages answer); and,
at the end, whether the database holds everything that was ever acknowledged.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import create_engine, select
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.serving_rows.ledger import Ledger, Writers, missing
from benchmarks.serving_rows.row import ServingRow, print_rows
from benchmarks.serving_rows.running_system import RunningSystem, running_system, wait_until
from benchmarks.serving_rows.trained_home import trained_home
from shared.storage.engine import open_database
from shared.storage.finance_tables import leases

REACH_SECONDS = 10.0
PATIENCE = 60.0
"""How long a recovery is waited for before the run is given up."""

VICTIMS = ("supervisor", "process", "watcher", "pages", "postgresql")


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: the longest silence of a writing route, and when the victim worked again (s)."""

    victim: str
    silence: float
    works: float

    @property
    def recovery(self) -> float:
        """The longer of the two."""
        return max(self.silence, self.works)


class Killing:
    """Kills parts of a running system and measures how long they are missed."""

    def __init__(self, system: RunningSystem, ledger: Ledger, processes: int) -> None:
        self._system = system
        self._ledger = ledger
        self._processes = processes
        self._engine = create_engine(system.database_url)

    def close(self) -> None:
        """Leave the database."""
        self._engine.dispose()

    def kill(self, victim: str, chance: random.Random) -> Kill:
        """``kill -9`` it and wait until all is as before. Raises TimeoutError."""
        moment = time.monotonic()
        works = self._works_again(victim, chance)
        worked_at: float | None = None
        while worked_at is None or not self._ledger.answered_after(worked_at):
            if time.monotonic() - moment > PATIENCE:
                raise TimeoutError(f"{victim} was killed and did not recover in {PATIENCE:.0f} s")
            if worked_at is None and works():
                worked_at = time.monotonic()
            time.sleep(0.02)
        silence = self._ledger.longest_silence(moment, time.monotonic())
        return Kill(victim, silence, worked_at - moment)

    def _works_again(self, victim: str, chance: random.Random) -> Callable[[], bool]:
        """Kill it; what says whether it works again."""
        parts = self._system.parts
        if victim == "process":
            before = set(self._system.workers())
            os.kill(chance.choice(sorted(before)), signal.SIGKILL)
            return lambda: self._whole(lambda now: now != before)
        if victim == "supervisor":
            before = set(self._system.workers())
            parts["api"].kill()
            return lambda: self._whole(lambda now: not before & now)
        if victim == "pages":
            parts["pages"].kill()
            starts = parts["pages"].starts
            return lambda: parts["pages"].starts > starts and self._system.pages_answer()
        if victim == "watcher":
            parts["watcher"].kill()
            starts = parts["watcher"].starts
            return lambda: parts["watcher"].starts > starts and self.watcher_works()
        starts = parts["postgresql"].starts
        parts["postgresql"].kill()
        return lambda: parts["postgresql"].starts > starts and self.watcher_works()

    def _whole(self, changed: Callable[[set[int]], bool]) -> bool:
        """Whether as many processes run as should, others than before, and each is warm."""
        now = set(self._system.workers())
        whole = len(now) == self._processes and changed(now)
        return whole and self._system.ready_workers() == self._processes

    def watcher_works(self) -> bool:
        """Whether the watcher that runs now is the one that holds the lease."""
        try:
            with self._engine.connect() as connection:
                holder = connection.scalar(select(leases.c.holder))
        except SQLAlchemyError:
            return False
        number = self._system.parts["watcher"].pid
        return holder is not None and number is not None and f":{number}:" in holder


def recover(
    home: Path,
    *,
    kills: int | Sequence[str],
    postgres: bool,
    seed: int,
    intent: str,
    longest_pause: float = 4.0,
    pages: bool = True,
    variables: Mapping[str, str] | None = None,
) -> tuple[list[Kill], Ledger, list[str]]:
    """Run the system on ``home`` and kill parts of it: ``kills`` times at random, or those named.

    What each kill cost, the ledger, and what was acknowledged and is missing.
    """
    chance, processes = random.Random(seed), 2
    with running_system(
        home, postgres=postgres, processes=processes, pages=pages, variables=variables
    ) as system:
        writers = Writers(system.url, intent)
        killing = Killing(system, writers.ledger, processes)
        done = []
        try:
            if pages:
                wait_until(system.pages_answer, "the pages")
            wait_until(killing.watcher_works, "the watcher")
            wait_until(lambda: system.ready_workers() == processes, "each process of the API")
            started = time.monotonic()
            wait_until(lambda: writers.ledger.answered_after(started), "the writes")
            there = [one for one in VICTIMS if one in system.parts or one in VICTIMS[:2]]
            if isinstance(kills, int):
                named = [chance.choice(there) for _ in range(kills)]
            else:
                named = list(kills)
            for victim in named:
                time.sleep(chance.uniform(0.5, longest_pause))
                done.append(killing.kill(victim, chance))
                one = done[-1]
                told = f"silence {one.silence:.2f} s, works {one.works:.2f} s"
                print(f"  {victim}: {told}", file=sys.stderr)
            time.sleep(1.0)
        finally:
            writers.close()
            killing.close()
        engine = open_database(system.database_url)
        try:
            lost = missing(engine, writers.ledger)
        finally:
            engine.dispose()
    return done, writers.ledger, lost


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sqlite", action="store_true", help="and not PostgreSQL")
    parser.add_argument("--intent", help="one that the model in use knows")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="triptych-recovery-") as folder:
        home = trained_home(Path(folder) / "home")
        kills, ledger, lost = recover(
            home,
            kills=asked.kills,
            postgres=not asked.sqlite,
            seed=asked.seed,
            intent=asked.intent or known_intent(home),
        )
    worst = max(kills, key=lambda kill: kill.recovery)
    store = "SQLite" if asked.sqlite else "PostgreSQL"
    measured = (
        f"{len(lost)} of {ledger.acknowledged:,} acknowledged writes lost; no route silent for "
        f"more than {max(kill.silence for kill in kills):.1f} s, all parts at work within "
        f"{worst.recovery:.1f} s ({worst.victim})"
    )
    print_rows(
        [
            ServingRow(
                name=f"kill -9 of a random process, {len(kills)} times under load, {store}",
                measured=measured,
                peer="",
                reach=f"nothing acknowledged lost; recovery <= {REACH_SECONDS:.0f} s",
                met=not lost and worst.recovery <= REACH_SECONDS,
                details={
                    "kills": [asdict(kill) for kill in kills],
                    "acknowledged": {kind: len(one) for kind, one in ledger.entries.items()},
                    "not acknowledged": dict(ledger.failures),
                    "lost": lost[:20],
                    "seed": asked.seed,
                },
            )
        ]
    )


def known_intent(home: Path) -> str:
    """An intent of the support desk's version in use."""
    from models.registry import ModelRegistry

    registry = ModelRegistry(home / "models")
    name = registry.in_use("support")
    if name is None:
        raise SystemExit("the home has no version of the support desk in use")
    return str(registry.get("support", name).card["labels"][0])


if __name__ == "__main__":
    main()
