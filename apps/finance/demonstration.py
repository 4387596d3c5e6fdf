"""The sample feeds played through the real fetcher: what the demo shows of the monitor.

The ten days of the feeds go by in polls six hours apart, the last of them now. Everything else is
as it is in use: conditional requests, grouping, scores by the version in use, rules each round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Engine

from apps.finance.alerts.live import evaluate_rules
from apps.finance.alerts.rule_store import RuleStore
from apps.finance.alerts.store import Alert, AlertStore
from apps.finance.entities.companies import linkable, watch
from apps.finance.feeds import FeedStore
from apps.finance.ingest.counts import IngestCounts
from apps.finance.ingest.pipeline import Ingestion
from apps.finance.samples.demo_server import DemoServer
from apps.finance.scoring.protocol import StoryScorer
from apps.finance.sentiment_index.index import Reading
from apps.finance.sentiment_index.queries import company_readings
from data_connectors.feed_fetching import FeedFetcher
from shared.storage.engine import reading
from shared.web.addresses import AddressPolicy
from shared.web.client import guarded_client, user_agent

AUTHOR = "demo"
ALLOWED = ("127.0.0.1",)
"""The sample feeds are served from this machine, which users' feeds may not be."""

STEP = timedelta(hours=6)
"""Between two polls."""

WATCHED = ("Renault", "Intel", "Lufthansa", "Siemens", "Nestlé", "Toyota")

RULES = (
    (
        "Bad news piles up at a watched company",
        "burst",
        "company:*",
        {"min_stories": 3, "within_hours": 6},
    ),
    (
        "A watched company's index is low",
        "threshold",
        "company:*",
        {"level": -0.3, "min_stories": 2},
    ),
    ("The mood of all news falls", "fall", "all", {"points": 0.15, "within_hours": 48}),
)
"""Name, kind, scope and parameters of the rules that the demo begins with."""


@dataclass(frozen=True, slots=True)
class Played:
    """What ten days of feeds brought. ``readings`` are each company's index by name, now."""

    counts: IngestCounts
    alerts: tuple[Alert, ...]
    readings: tuple[tuple[str, Reading], ...]


def play_sample_feeds(
    engine: Engine,
    scorer: StoryScorer,
    server: DemoServer,
    *,
    now: datetime,
    advance: Callable[[int], None],
) -> Played:
    """Add the feeds, the watch list and the rules, and poll through the days.

    Feeds of an earlier demonstration are taken off first: their server is gone. ``advance`` is
    told each poll of all feeds. Alerts are written and sent to nobody.
    """
    prepare(engine, server, now)
    policy = AddressPolicy(ALLOWED)
    total = IngestCounts()
    with guarded_client(policy, user_agent=user_agent("demo")) as client:
        fetcher = FeedFetcher(
            client, policy, sleep=time.sleep, monotonic=time.monotonic, per_host_seconds=0.0
        )
        rules = partial(evaluate_rules, send=False)
        ingestion = Ingestion(engine, fetcher, scorer, after_round=rules)
        for moment in server.moments(STEP):
            server.as_of = moment
            total += ingestion.ingest_due(moment)
            ingestion.after_time(moment)
            advance(1)
    alerts = AlertStore(engine).page(now=now).alerts
    return Played(total, alerts, most_moved(engine, now))


def prepare(engine: Engine, server: DemoServer, now: datetime) -> None:
    """The feeds, the companies and the rules of the demonstration, each once."""
    store = FeedStore(engine)
    for feed in store.list():
        if feed.added_by == AUTHOR:
            store.remove(feed.id, AUTHOR, now)
    for name, url in server.urls.items():
        store.add(url, name.replace("_", " ").title(), 3_600, AUTHOR, server.first)
    for company in WATCHED:
        watch(engine, company, added_by=AUTHOR, now=now)
    rules = RuleStore(engine)
    known = {rule.name for rule in rules.list()}
    for name, kind, scope, parameters in RULES:
        if name not in known:
            rules.add(
                name=name, kind=kind, scope=scope, parameters=parameters, author=AUTHOR, now=now
            )


def most_moved(engine: Engine, now: datetime, most: int = 4) -> tuple[tuple[str, Reading], ...]:
    """The companies whose index is highest and lowest, so many of each, the highest first."""
    names = {company.id: company.name for company in linkable(engine)}
    with reading(engine) as connection:
        found = company_readings(connection, [now])
    told = [(names.get(key, key), one[0]) for key, one in found.items() if one[0].value is not None]
    told.sort(key=lambda pair: -(pair[1].value or 0.0))
    return tuple(told if len(told) <= 2 * most else [*told[:most], *told[-most:]])
