"""The shipped catalogue, fitted and asked for a list: what the demo shows of the recommender.

    sample -> stores -> fit, measured on validation events -> gate -> a shopper's list, with reasons

The behaviour is the generator's. What is stored already is not stored again, so that a second
demonstration fits on the same events, and on what was done in the pages since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from apps.recommend.bootstrap import recommender
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from apps.recommend.loading import load_data
from apps.recommend.named_data import SAMPLE
from apps.recommend.samples.behaviour import sample
from apps.recommend.samples.catalogue import sample_items
from apps.recommend.tenants import DEFAULT_TENANT, registry_app
from apps.recommend.training import Origin, fit_bundle
from models.promotion import gate_and_promote
from models.recommendation.recipe import RecommendRecipe
from models.registry import ModelRegistry
from shared.api.recommend_lists import ListBody, ListShape
from shared.errors import PromotionRefused
from shared.settings import Settings

AUTHOR = "demo"

OTHER_TENANT = "demo"
"""Whose catalogue the sample goes to where the default one holds a team's own items."""

TOWER_EPOCHS = 2
"""Fewer than the recipe's: the demo has three minutes for three apps, and the item tower takes most
of a fit of so small a catalogue."""

LIST_LENGTH = 6
DIVERSITY = 0.3
LATELY = 4
"""Events that are told of the shopper."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """``summary`` is what a training prints; ``lately`` are deeds with the items' titles, the
    newest first, of the ``user`` that ``answer`` is for."""

    tenant: str
    summary: dict[str, Any]
    user: str
    lately: tuple[tuple[str, str], ...]
    answer: ListShape


def demonstrate(
    settings: Settings,
    engine: Engine,
    registry: ModelRegistry,
    *,
    seed: int,
    now: datetime,
    say: Callable[[str], None],
) -> Demonstration:
    """Take the sample in, fit and promote through the gate, and make a list for one shopper."""
    tenant = tenant_for_sample(engine)
    load_data(engine, tenant, sample(now), now)
    items, events = ItemStore(engine, tenant), EventStore(engine, tenant)
    catalogue = {item.id: item for item in items.all()}
    version, summary = fit_bundle(
        settings,
        registry,
        tenant,
        events.histories(list(catalogue)),
        tuple(catalogue.values()),
        origin=Origin(SAMPLE, SAMPLE, synthetic=True),
        now=now,
        recipe=RecommendRecipe(tower_epochs=TOWER_EPOCHS),
        seed=seed,
        say=say,
    )
    outcome: dict[str, Any]
    try:
        done = gate_and_promote(registry, registry_app(tenant), version, author=AUTHOR, now=now)
        outcome = {"promoted": True, "reason": done.reason}
    except PromotionRefused as error:
        outcome = {"promoted": False, "reason": error.message}
    user = typical_user(events)
    wired = recommender(settings, engine, registry, clock=lambda: now, draw=lambda: seed)
    try:
        wish = ListBody(k=LIST_LENGTH, diversity=DIVERSITY, record=False)
        answer = wired.lists.for_user(tenant, user, wish)
    finally:
        wired.tenants.stop()
    history = events.history(user, LATELY)
    newest = list(zip(history.types, history.item_ids, strict=True))[::-1]
    lately = tuple(
        (deed, catalogue[item].title if item in catalogue else item) for deed, item in newest
    )
    return Demonstration(tenant, {**summary, "promotion": outcome}, user, lately, answer)


def tenant_for_sample(engine: Engine) -> str:
    """The default tenant, unless it holds items that are not the sample's."""
    shipped = {item.id for item in sample_items()}
    others = any(item.id not in shipped for item in ItemStore(engine, DEFAULT_TENANT).all())
    return OTHER_TENANT if others else DEFAULT_TENANT


def typical_user(events: EventStore) -> str:
    """The user whose number of events is the middle one; of equals the first by name."""
    users = sorted(events.users(limit=10_000), key=lambda pair: (pair[1], pair[0]))
    return users[(len(users) - 1) // 2][0]
