"""The demo's ten days of news: through the real fetcher, twice, telling nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, select

from apps.finance.alerts.rule_store import RuleStore
from apps.finance.alerts.targets import TargetStore
from apps.finance.demonstration import RULES, STEP, WATCHED, play_sample_feeds
from apps.finance.entities.companies import watched
from apps.finance.feeds import FeedStore
from apps.finance.records import StoryScore, StoryText
from apps.finance.samples.demo_server import serve
from shared.storage.engine import reading
from shared.storage.finance_tables import deliveries
from shared.web.addresses import AddressPolicy
from tests.fakes.story_scorer import WordScorer

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


NEGATIVE = {"negative": 0.9, "neutral": 0.05, "positive": 0.05}


class Gloomy(WordScorer):
    """All news is bad news, whatever the words: every rule has its occasion."""

    def score(self, stories: Sequence[StoryText]) -> list[StoryScore]:
        return [
            replace(
                score,
                label="negative",
                probabilities=NEGATIVE,
                mentions=tuple(
                    replace(mention, label="negative", probabilities=NEGATIVE)
                    for mention in score.mentions
                ),
            )
            for score in super().score(stories)
        ]


def test_ten_days_of_sample_news_are_read_once(sqlite_engine: Engine) -> None:
    TargetStore(sqlite_engine).add(
        channel="email", address="desk@invented.example", now=NOW, author="test",
        policy=AddressPolicy(),
    )  # fmt: skip
    scorer = Gloomy(companies={"Renault": "renault", "Intel": "intel"})
    steps: list[int] = []
    with serve(now=NOW) as server:
        moments = server.moments(STEP)
        played = play_sample_feeds(sqlite_engine, scorer, server, now=NOW, advance=steps.append)
    assert len(steps) == len(moments)
    assert played.counts.polls == len(moments) * len(server.urls)
    assert played.counts.stories > 250
    assert played.counts.errors == 0
    assert played.counts.revisions >= 10
    assert {name for name, _ in played.readings} >= {"Renault", "Intel"}
    assert {status for _, status in server.requests} == {200, 304}
    fired = {(alert.rule["name"], alert.subject) for alert in played.alerts}
    assert (RULES[0][0], "company:renault") in fired
    assert (RULES[1][0], "company:renault") in fired
    with reading(sqlite_engine) as connection:
        assert connection.scalar(select(func.count()).select_from(deliveries)) == 0


def test_a_second_demonstration_takes_the_place_of_the_first(sqlite_engine: Engine) -> None:
    for _ in range(2):
        with serve(now=NOW) as server:
            server.as_of = server.first
            play_sample_feeds(sqlite_engine, WordScorer(), server, now=NOW, advance=lambda _: None)
    assert {feed.url for feed in FeedStore(sqlite_engine).list()} == set(server.urls.values())
    assert len(RuleStore(sqlite_engine).list()) == len(RULES)
    assert len(watched(sqlite_engine)) == len(WATCHED)
