"""200 feeds of 50 entries from a local server: fetched, stored and scored, against parsing alone.

The peer is feedparser on the same bytes in the same process. The model is what ``triptych train
finance`` makes of the shipped sample (three minutes), served as promotion chose. Prints one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.measure import measure, triptych

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def documents(feeds: int, entries: int, seed: int = 0) -> list[bytes]:
    """RSS documents of invented stories: sample headlines about companies of the gazetteer."""
    import csv

    from apps.finance.entities.gazetteer import gazetteer
    from apps.finance.training_data import SAMPLES

    draw = random.Random(seed)
    with (SAMPLES / "headlines.csv").open(encoding="utf-8", newline="") as file:
        headlines = sorted({row["text"] for row in csv.DictReader(file)})
    companies = [company.name for company in gazetteer()]
    made = []
    for number in range(feeds):
        items = []
        for entry in range(entries):
            company = draw.choice(companies)
            title = f"{company}: {draw.choice(headlines)}, note {draw.randrange(10**6)}"
            summary = ". ".join(draw.sample(headlines, 3))
            at = format_datetime(NOW - timedelta(minutes=draw.randrange(3_000)))
            items.append(
                f"<item><title>{escape(title)}</title><description>{escape(summary)}</description>"
                f"<link>http://news.example/{number}/{entry}</link>"
                f"<guid isPermaLink='false'>{number}-{entry}</guid><pubDate>{at}</pubDate></item>"
            )
        made.append(
            f"<?xml version='1.0' encoding='utf-8'?><rss version='2.0'><channel>"
            f"<title>Feed {number}</title><link>http://news.example/</link>"
            f"<description>Invented stories for a benchmark</description>{''.join(items)}"
            f"</channel></rss>".encode()
        )
    return made


@contextmanager
def serving(contents: Sequence[bytes]) -> Iterator[str]:
    class Feeds(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = contents[int(self.path.strip("/"))]
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Feeds)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Timed:
    """A scorer whose work is clocked: seconds of wall time by part."""

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer
        self.seconds = {"embedding": 0.0, "scoring": 0.0}

    @property
    def version(self) -> str | None:
        return self._scorer.version

    def embed(self, texts: Sequence[str]) -> Any:
        return self._clocked("embedding", self._scorer.embed, texts)

    def score(self, stories: Sequence[Any]) -> Any:
        return self._clocked("scoring", self._scorer.score, stories)

    def _clocked(self, part: str, work: Any, given: Any) -> Any:
        started = time.perf_counter()
        result = work(given)
        self.seconds[part] += time.perf_counter() - started
        return result


def parse_alone(contents: Sequence[bytes]) -> tuple[float, int]:
    import feedparser

    started = time.perf_counter()
    entries = sum(len(feedparser.parse(content).entries) for content in contents)
    return time.perf_counter() - started, entries


def run(feeds: int, entries: int) -> dict[str, Any]:
    contents = documents(feeds, entries)
    before, expected = parse_alone(contents)
    with tempfile.TemporaryDirectory() as home:
        measure(triptych("train", "finance"), {"TRIPTYCH_HOME": home})
        pipeline, counts, parts = ingest(contents, Path(home))
        served_by = runtime_in_use(Path(home))
    after, _ = parse_alone(contents)
    parse = (before + after) / 2
    return {
        "feeds": feeds,
        "entries_each": entries,
        "entries": expected,
        "parse_seconds": parse,
        "pipeline_seconds": pipeline,
        "ratio": pipeline / parse,
        "counts": counts,
        "parts": parts,
        "served_by": served_by,
    }


def runtime_in_use(home: Path) -> str:
    """What promotion chose for the version in use: int8, fp32 or torch."""
    from models.registry import ModelRegistry
    from models.runtime.files import read_verdict
    from shared.settings import Settings

    verdict = read_verdict(ModelRegistry(Settings(home=home).models).get("finance"))
    return verdict.chosen if verdict else "torch"


def ingest(contents: Sequence[bytes], home: Path) -> tuple[float, dict[str, Any], dict[str, float]]:
    """Seconds for all feeds once, through the real fetcher, with a model in use."""
    from dataclasses import asdict

    from apps.finance.alerts.live import evaluate_rules
    from apps.finance.feeds import FeedStore
    from apps.finance.ingest.pipeline import Ingestion
    from apps.finance.scoring.in_use import scorer_for
    from data_connectors.feed_fetching import FeedFetcher
    from models.registry import ModelRegistry
    from shared.settings import Settings
    from shared.storage.engine import open_database
    from shared.web.client import guarded_client, user_agent

    settings = Settings(home=home, allowed_addresses=("127.0.0.1",))
    engine = open_database(settings.database)
    scorer = Timed(scorer_for(settings, ModelRegistry(settings.models), engine))
    scorer.embed(["warm up"])
    policy = settings.address_policy()
    with (
        serving(contents) as address,
        guarded_client(policy, user_agent=user_agent("benchmark")) as client,
    ):
        # All feeds are on one host here: the pause between calls to a host is left out.
        fetcher = FeedFetcher(
            client, policy, sleep=time.sleep, monotonic=time.monotonic, per_host_seconds=0.0
        )
        ingestion = Ingestion(engine, fetcher, scorer, after_stories=evaluate_rules)
        store = FeedStore(engine)
        for number in range(len(contents)):
            store.add(f"{address}/{number}", f"Feed {number}", 900, "benchmark", NOW)
        scorer.seconds = dict.fromkeys(scorer.seconds, 0.0)
        cpu, started = time.process_time(), time.perf_counter()
        counts = ingestion.ingest_due(NOW)
        seconds = time.perf_counter() - started
        used = time.process_time() - cpu
    engine.dispose()
    parts = {**scorer.seconds, "everything, of processor time": used}
    return seconds, asdict(counts), parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeds", type=int, default=200)
    parser.add_argument("--entries", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="the only output there is")
    chosen = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    print(json.dumps(run(chosen.feeds, chosen.entries)))


if __name__ == "__main__":
    main()
