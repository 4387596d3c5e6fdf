"""Bundles that are fitted in no time: a file that says what they were made of."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from apps.recommend.tenants import registry_app
from models.registry import ModelRegistry, ModelVersion, Promotion
from shared.catalogue import BehaviourEvent, CatalogueItem
from shared.evaluation.gate import GateReport
from shared.histories import Histories

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class BundleFitting:
    """A ``Fit``: its bundle holds the users and items that it was fitted on.

    ``during`` is called in each fit, before its bundle is written. ``fitted`` is what was fitted.
    """

    registry: ModelRegistry
    during: Callable[[], object] = lambda: None
    fitted: list[tuple[str, int, int]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __call__(
        self, tenant: str, histories: Histories, items: Sequence[CatalogueItem], now: datetime
    ) -> ModelVersion:
        self.during()
        self.fitted.append((tenant, len(histories.rows), len(items)))
        made_of = {"users": histories.user_ids, "items": [item.id for item in items]}

        def write(folder: Path) -> None:
            (folder / "bundle.json").write_text(json.dumps(made_of))

        card = {"kind": "recommender", "method": "fake", "number": next(self.numbers)}
        return self.registry.add(registry_app(tenant), card=card, write=write, now=now)


def users_of(version: ModelVersion) -> list[str]:
    """The users that a bundle was fitted on."""
    users = json.loads((version.folder / "bundle.json").read_text())["users"]
    assert isinstance(users, list)
    return users


@dataclass
class Gate:
    """A ``Promote`` whose verdict is set; ``compared`` are the versions it was asked about."""

    allowed: bool = True
    compared: list[str] = field(default_factory=list)

    def __call__(
        self,
        registry: ModelRegistry,
        app: str,
        candidate: ModelVersion,
        *,
        author: str,
        now: datetime,
        force: bool = False,
    ) -> Promotion:
        self.compared.append(candidate.name)
        reason = "not worse" if self.allowed else "worse: recall@10 .05 against .08"
        report = GateReport(self.allowed, reason, 100, 0.05, 0.08, -0.03, -0.05, -0.01)
        return registry.promote(app, candidate, gate=report, author=author, now=now, force=force)


def fill(engine: Engine, tenant: str = "default", users: Sequence[str] = ("ann", "bo")) -> None:
    """Three items, and two events of each user."""
    ItemStore(engine, tenant).upsert([CatalogueItem(name, name.title()) for name in "abc"], NOW)
    EventStore(engine, tenant).add(
        [
            BehaviourEvent(f"{user}-{item}", user, item, "view", NOW + place * timedelta(minutes=1))
            for user in users
            for place, item in enumerate("ab")
        ],
        NOW,
    )
