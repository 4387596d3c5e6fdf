"""The watcher's own metrics: a port where a setting names one, and none otherwise."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from apps.finance.feeds import FeedStore
from apps.finance.ingest.pipeline import Ingestion
from apps.finance.ingest.watcher_metrics import watcher_metrics
from apps.finance.ingest.watching import Watcher
from shared.settings import Settings
from shared.storage.leases import Lease
from tests.fakes.feed_fetcher import CannedFetcher, fetched, rss
from tests.fakes.story_scorer import WordScorer

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
ENTRIES = [("A", "Acme soars on record orders", ""), ("B", "Globex sinks after fraud", "")]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def scraped(port: int) -> dict[str, float]:
    """Name with its labels' values, and the number."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Served(WordScorer):
    ready = True
    waiting = 0
    observer: object = None


def test_rounds_feeds_and_entries_are_counted(sqlite_engine: Engine, tmp_path: Path) -> None:
    store = FeedStore(sqlite_engine)
    store.add("http://a.example/rss", None, 60, "Ann", NOW)
    store.add("http://gone.example/rss", None, 60, "Ann", NOW)
    fetcher = CannedFetcher({"http://a.example/rss": fetched(rss(ENTRIES))})
    scorer = Served()
    ingestion = Ingestion(sqlite_engine, fetcher, scorer, jitter=lambda: 0.0)
    counted = []
    watcher = Watcher(
        sqlite_engine,
        ingestion,
        Lease(sqlite_engine, "watch", "one", seconds=45),
        report=lambda *round: counted[0].round(*round),
    )
    settings = Settings(home=tmp_path, watcher_metrics_port=free_port())
    port = settings.watcher_metrics_port
    assert port is not None
    with watcher_metrics(settings, sqlite_engine, scorer, lambda: watcher.works) as metrics:  # type: ignore[arg-type]
        assert metrics is not None
        counted.append(metrics)
        assert scraped(port)["triptych_watcher_works"] == 0
        assert watcher.hold(NOW)
        watcher.tick(NOW)
        metrics.rescored(3)
        found = scraped(port)
        assert found["triptych_watcher_works"] == 1
        assert found["triptych_feed_polls_total answered"] == 1
        assert found["triptych_feed_polls_total failed"] == 1
        assert found["triptych_feed_entries_total distinct"] == 2
        assert found["triptych_feed_stories_total"] == 2
        assert found["triptych_stories_rescored_total"] == 3
        assert found["triptych_watcher_round_seconds_count"] == 1
        assert found["triptych_ready finance"] == 1
        assert found["triptych_model_info finance words-1"] == 1
        assert found["triptych_feeds active"] == 2  # what stands in the database
        assert found["process_resident_memory_bytes"] > 1e7
    with pytest.raises(urllib.error.URLError):
        scraped(port)


def test_without_the_setting_there_is_no_port(sqlite_engine: Engine, tmp_path: Path) -> None:
    with watcher_metrics(Settings(home=tmp_path), sqlite_engine, Served(), lambda: True) as metrics:  # type: ignore[arg-type]
        assert metrics is None


@pytest.mark.soak
def test_the_command_answers_scrapes_until_it_ends(tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **os.environ,
        "TRIPTYCH_HOME": str(tmp_path),
        "TRIPTYCH_WATCHER_METRICS_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("TRIPTYCH_DATABASE_URL", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "apps.cli", "finance", "watch"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 60
        found: dict[str, float] = {}
        while found.get("triptych_watcher_round_seconds_count", 0) < 1:
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < deadline, f"no round was made: {found}"
            time.sleep(0.1)
            try:
                found = scraped(port)
            except OSError:
                continue
        assert found["triptych_watcher_works"] == 1
        assert found["triptych_database_up finance"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()
