"""A watcher as a process of its own: the real one, with a scorer whose words decide.

    python -m tests.fakes.watcher_process DATABASE_URL SECONDS_A_DOCUMENT

Each story that is stored leaves a row in the audit log, in the same transaction, as an alert
would. The holder of the lease names the process by its number, and so does the user agent.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, insert, select

from apps.finance.ingest.pipeline import Ingestion
from apps.finance.ingest.watching import Watcher, watch
from data_connectors.feed_fetching import FeedFetcher
from shared.storage.engine import open_database
from shared.storage.finance_tables import stories
from shared.storage.leases import Lease
from shared.storage.tables import audit_log
from shared.web.addresses import AddressPolicy
from shared.web.client import guarded_client
from tests.fakes.story_scorer import WordScorer

LEASE_SECONDS = 1.2
TICK_SECONDS = 0.2


class SlowScorer(WordScorer):
    """Takes its time over each document."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        time.sleep(self.seconds)
        return super().embed(texts)


def note_stories(connection: Connection, now: datetime) -> None:
    """Write down how many stories there are, if there are more than were written down."""
    told = connection.scalar(select(func.count()).select_from(stories))
    alerts = select(func.count()).select_from(audit_log).where(audit_log.c.action == "alert")
    noted = connection.scalar(alerts)
    rows = [
        {"at": now, "actor": "rules", "action": "alert", "details": {"story": number}}
        for number in range(noted or 0, told or 0)
    ]
    if rows:
        connection.execute(insert(audit_log), rows)


def main(url: str, seconds: float) -> None:
    engine = open_database(url)
    policy = AddressPolicy(("127.0.0.1",))
    lease = Lease(engine, "finance.watch", f"process {os.getpid()}", LEASE_SECONDS)
    with guarded_client(policy, user_agent=f"Triptych tests {os.getpid()}") as client:
        fetcher = FeedFetcher(
            client, policy, sleep=time.sleep, monotonic=time.monotonic, per_host_seconds=0.0
        )
        ingestion = Ingestion(
            engine, fetcher, SlowScorer(seconds), after_stories=note_stories, fetchers=2
        )
        watcher = Watcher(engine, ingestion, lease, tick_seconds=TICK_SECONDS)
        watch(
            watcher,
            tick_seconds=TICK_SECONDS,
            lease_seconds=LEASE_SECONDS,
            on_start=lambda stop: signal.signal(signal.SIGTERM, lambda *_: stop()) and None,
        )
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
