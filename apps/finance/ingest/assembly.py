"""Puts an ingestion together from the settings, for the commands that run one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from apps.finance.ingest.pipeline import Ingestion
    from apps.finance.ingest.watching import SideJob
    from data_connectors.feed_fetching import FeedFetcher

DELIVERY_SECONDS = 5.0
"""Seconds between two looks at what is to be sent."""


@contextmanager
def open_fetcher(settings: Settings) -> Iterator[FeedFetcher]:
    """A fetcher that calls only what the settings let it call; its connections end with it."""
    from data_connectors.feed_fetching import FeedFetcher
    from shared.web.client import guarded_client, user_agent

    policy = settings.address_policy()
    with guarded_client(policy, user_agent=user_agent("feed reader")) as client:
        yield FeedFetcher(client, policy, sleep=time.sleep, monotonic=time.monotonic)


@contextmanager
def open_ingestion(
    settings: Settings, engine: Engine, *, follow: bool = False, send: bool = True
) -> Iterator[Ingestion]:
    """An ingestion whose stories are scored by the version in use and set off the alert rules.

    With ``follow`` a version that is promoted later is used from then on, and rules are looked at
    once a round, when all documents that were due are in; else after each document. Without
    ``send`` alerts are written and nobody is told: they belong to a past that is played again.
    """
    from apps.finance.alerts.live import evaluate_rules
    from apps.finance.ingest.pipeline import Ingestion
    from apps.finance.scoring.in_use import scorer_for, scorer_in_use
    from models.registry import ModelRegistry

    registry = ModelRegistry(settings.models)
    if follow:
        scorer = scorer_in_use(settings, registry, engine)
        scorer.start()
    else:
        scorer = scorer_for(settings, registry, engine)
    try:
        with open_fetcher(settings) as fetcher:
            rules = partial(evaluate_rules, send=send)
            if follow:
                yield Ingestion(engine, fetcher, scorer, after_round=rules)
            else:
                yield Ingestion(engine, fetcher, scorer, after_stories=rules)
    finally:
        if follow:
            scorer.stop()


@contextmanager
def side_jobs(settings: Settings, engine: Engine) -> Iterator[tuple[SideJob, ...]]:
    """What the working watcher does besides: it sends what alerts tell."""
    from apps.finance.ingest.watching import SideJob
    from shared.monitoring.delivery import deliver_due
    from shared.monitoring.mail import MailSettings
    from shared.monitoring.senders import alert_senders

    with alert_senders(settings.address_policy(), MailSettings()) as senders:
        yield (SideJob("deliver", DELIVERY_SECONDS, lambda now: deliver_due(engine, now, senders)),)
