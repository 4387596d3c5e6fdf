"""Puts an ingestion together from the settings, for the commands that run one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from apps.finance.ingest.pipeline import Ingestion
    from apps.finance.ingest.watching import SideJob
    from apps.finance.scoring.in_use import ScorerInUse
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
    from apps.finance.ingest.rescoring import Rescoring
    from apps.finance.scoring.in_use import scorer_for, scorer_in_use
    from apps.finance.training_data import APP
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
            rescoring = Rescoring(engine, scorer, in_use=lambda: registry.in_use(APP))
            if follow:
                yield Ingestion(engine, fetcher, scorer, after_round=rules, rescoring=rescoring)
            else:
                yield Ingestion(engine, fetcher, scorer, after_stories=rules, rescoring=rescoring)
    finally:
        if follow:
            scorer.stop()


RESCORE_SECONDS = 15.0
"""Seconds between two looks for stories that a version before the one in use has scored."""


@contextmanager
def side_jobs(
    settings: Settings,
    engine: Engine,
    ingestion: Ingestion,
    *,
    rescored: Callable[[int], None] = lambda stories: None,
) -> Iterator[tuple[SideJob, ...]]:
    """What the working watcher does besides: it sends what alerts tell, and scores again.

    ``rescored`` is told how many stories were scored again.
    """
    from apps.finance.ingest.watching import SideJob
    from shared.monitoring.delivery import deliver_due
    from shared.monitoring.mail import MailSettings
    from shared.monitoring.senders import alert_senders

    with alert_senders(settings.address_policy(), MailSettings()) as senders:
        jobs = [SideJob("deliver", DELIVERY_SECONDS, lambda now: deliver_due(engine, now, senders))]
        if settings.rescore_days and ingestion.rescoring is not None:
            lately = timedelta(days=settings.rescore_days)
            rescoring = ingestion.rescoring

            def score_again(now: datetime) -> None:
                rescored(rescoring.some(now, since=now - lately).written)

            jobs.append(SideJob("rescore", RESCORE_SECONDS, score_again))
        yield tuple(jobs)


def scorer_of(ingestion: Ingestion) -> ScorerInUse:
    """The scorer of an ingestion that ``open_ingestion`` has put together."""
    from apps.finance.scoring.in_use import ScorerInUse

    assert isinstance(ingestion.scorer, ScorerInUse), "it was put together elsewhere"
    return ingestion.scorer
