"""The real monitor behind the API: real stores, linker and rules; words stand in for the model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from apps.finance.alerts.live import evaluate_rules
from apps.finance.alerts.rule_store import RuleStore
from apps.finance.bootstrap import ServedFinance, served_finance
from apps.finance.entities.companies import linkable, watch
from apps.finance.entities.linking import CompanyLinker
from apps.finance.feeds import FeedStore
from apps.finance.ingest.pipeline import Ingestion
from apps.finance.records import SENTIMENTS, StoryScore, StoryText
from apps.finance.scoring.prior_rules import load_rules
from apps.finance.scoring.rule_decisions import PriorRules
from apps.finance.scoring.scorer import StoryReader
from data_connectors.feed_fetching import FetchOutcome, FetchRequest
from data_connectors.feed_parsing import FeedEntry
from models.registry import ModelRegistry
from shared.errors import NotReady
from shared.records import TokenAttribution
from shared.settings import Settings
from tests.fakes.story_scorer import BAD, EVENTS, GOOD, WordScorer

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
VERSION = "20261123T080000Z-cccccccc"


@cache
def shipped_rules() -> PriorRules:
    """Read once: reading checks each pattern."""
    return load_rules(None)


class WordModel:
    """Words near the brackets decide: "[ A ] gains while [ B ] falls" reads each its own way."""

    version = VERSION
    labels = SENTIMENTS
    bank = (("[ A ] gains", "positive"),)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array([self._row(text) for text in texts]).reshape(len(texts), 3)

    def _row(self, text: str) -> tuple[float, float, float]:
        asked = text.rpartition("]")[2] if "[" in text else text
        for word in asked.casefold().replace(",", " ").split():
            if word in GOOD:
                return 0.04, 0.06, 0.9
            if word in BAD:
                return 0.9, 0.06, 0.04
        return 0.1, 0.8, 0.1


class WordEvents:
    """The first word that names an event."""

    def classify(self, texts: Sequence[str]) -> list[tuple[str | None, float]]:
        return [
            next(((EVENTS[word], 0.9) for word in text.casefold().split() if word in EVENTS),
                 (None, 0.0))
            for text in texts
        ]  # fmt: skip


class ScorerFake:
    """Stands in for ``ScorerInUse``. ``used`` False: no version is in use; ``explained`` keeps
    what was asked."""

    def __init__(self, engine: Engine, *, used: bool = True) -> None:
        self.used = used
        self.last_error: str | None = None
        self.explained: list[tuple[str, str]] = []
        self.starts = self.stops = 0
        self._words = WordScorer()
        self._reader = StoryReader(
            WordModel(), CompanyLinker(linkable(engine)), shipped_rules(), WordEvents()
        )

    @property
    def version(self) -> str | None:
        return VERSION if self.used else None

    @property
    def ready(self) -> bool:
        return self.used

    def reader(self) -> StoryReader:
        if not self.used:
            raise NotReady("no model version is in use for finance yet")
        return self._reader

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._words.embed(texts)

    def score(self, stories: Sequence[StoryText]) -> list[StoryScore]:
        return self.reader().score(stories)

    def explain(self, text: str, label: str) -> list[TokenAttribution]:
        self.explained.append((text, label))
        return [
            TokenAttribution(word, 0.5 if word in GOOD | BAD else -0.1) for word in text.split()
        ]

    def start(self) -> None:
        self.starts += 1

    def stop(self) -> None:
        self.stops += 1

    def refresh(self) -> bool:
        return False


class NoFetcher:
    """Nothing is fetched here."""

    def fetch(self, request: FetchRequest, now: datetime) -> FetchOutcome:
        raise AssertionError(f"{request.url} was fetched")


HEADLINES = (
    (1, "Siemens falls after a warning, Philips gains on new orders", "The shares plunges."),
    (2, "Siemens loses a lawsuit over patents", ""),
    (3, "Tesla misses its targets and plunges", "A merger is off."),
    (5, "Supplier of Nestle files for Chapter 11", ""),
    (20, "Philips gains after record profit", "Analysts had expected less."),
    (30, "Siemens wins a large order", ""),
    (50, "Rates stay where they are", "Nobody had expected else."),
    (80, "Tesla gains on a merger rumour", ""),
)
"""Hours ago, title, text."""


def entry(hours: float, title: str, text: str, now: datetime, *, guid: str = "") -> FeedEntry:
    at = now - timedelta(hours=hours)
    link = f"https://wire.test/{abs(hash(title)) % 10_000}"
    return FeedEntry(guid or title, link, title, text, None, None, at, None)


def fill(engine: Engine, scorer: ScorerFake, now: datetime = NOW) -> None:
    """Two feeds, a watch list, rules that fire, stories, and one of them told anew."""
    feeds = FeedStore(engine)
    wire = feeds.add("https://wire.test/rss", "Wire", 900, "Ada", now - timedelta(days=9))
    feeds.add("https://ledger.test/rss", "Ledger", None, "Ada", now - timedelta(days=9))
    for name in ("siemens", "tesla"):
        watch(engine, name, added_by="Ada", now=now - timedelta(days=9))
    rules = RuleStore(engine)
    rules.add(
        name="Insolvency",
        kind="event",
        scope="all",
        parameters={"events": ["lawsuit"]},
        author="Ada",
        now=now - timedelta(days=9),
    )
    rules.add(
        name="Mood of a watched company",
        kind="threshold",
        scope="company:*",
        parameters={"level": -0.3},
        author="Ada",
        now=now - timedelta(days=9),
    )
    ingestion = Ingestion(engine, NoFetcher(), scorer, after_stories=evaluate_rules)
    for hours, title, text in reversed(HEADLINES):
        at = now - timedelta(hours=hours) + timedelta(minutes=2)
        ingestion.ingest_entries(
            "https://wire.test/rss",
            "Wire",
            [entry(hours, title, text, now)],
            at,
            feed_id=wire.id,
        )
    changed = entry(50, "Rates stay where they are for now", HEADLINES[6][2], now,
                    guid=HEADLINES[6][1])  # fmt: skip
    ingestion.ingest_entries("https://wire.test/rss", "Wire", [changed], now, feed_id=wire.id)
    ingestion.ingest_entries(
        "posts.csv",
        "forum",
        [entry(4, "my Tesla never falls apart", "", now)],
        now,
        "post",
    )


def make_monitor(
    settings: Settings, engine: Engine, registry: ModelRegistry, now: datetime = NOW
) -> ServedFinance:
    """The monitor with stories in it, as ``create_app`` takes it."""
    scorer = ScorerFake(engine)
    fill(engine, scorer, now)
    return served_finance(
        settings,
        engine,
        registry,
        clock=lambda: now,
        scorer=scorer,  # type: ignore[arg-type]
        resolve=lambda host, port, timeout: ["93.184.216.34"],
    )
