"""The recommender's own routes, services and stores over the fake scorer: no model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine

from apps.recommend.bootstrap import ServedRecommend, served_recommend
from apps.recommend.serving.refits import StoredRefits
from models.recommendation.scoring import ItemScorer
from models.registry import ModelRegistry, ModelVersion, Promotion
from shared.catalogue import BehaviourEvent, CatalogueItem, EventType
from shared.settings import Settings
from tests.fakes.item_scorer import FakeItemScorer

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

ITEMS = (
    CatalogueItem("camera", "Compact camera", "A camera for travel", "Photo", 320.0),
    CatalogueItem("tripod", "Travel tripod", "A light tripod for a camera", "Photo", 80.0),
    CatalogueItem("lens", "Portrait lens", "A lens for a camera", "Photo", 410.0, False),
    CatalogueItem("kettle", "Steel kettle", "Boils water for tea", "Kitchen", 45.0),
    CatalogueItem("mug", "Enamel mug", "For tea by the fire", "Kitchen", 12.5),
    CatalogueItem("pan", "Iron pan", "For the fire and the stove", "Kitchen", None),
    CatalogueItem("tent", "Two person tent", "Light, for travel", "Outdoor", 210.0,
                  attributes={"colour": "green", "season": ["spring", "summer"]}),
    CatalogueItem("stove", "Gas stove", "A stove for the tent", "Outdoor", 60.0),
)  # fmt: skip


def event(user: str, item: str, type: EventType = "view", *, minutes: float = 60, id: str = "",
          session: str | None = None) -> BehaviourEvent:  # fmt: skip
    """What a user did so many minutes before NOW."""
    at = NOW - timedelta(minutes=minutes)
    return BehaviourEvent(id or f"{user}-{item}-{type}", user, item, type, at, session)


EVENTS = (
    event("ann", "tent", minutes=300),
    event("ann", "kettle", "purchase", minutes=200),
    event("ann", "camera", minutes=10, session="s-1"),
    event("bob", "mug", minutes=30),
)


@dataclass
class Fitting:
    """Stands in for what loads bundles: a fake scorer over the items that the card names.

    ``loaded`` keeps the versions, ``unfitted`` the sizes of catalogues that had no bundle;
    ``broken`` versions do not load.
    """

    items: dict[str, CatalogueItem] = field(
        default_factory=lambda: {item.id: item for item in ITEMS}
    )
    loaded: list[str] = field(default_factory=list)
    unfitted: list[int] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def load(self, version: ModelVersion) -> ItemScorer:
        if version.name in self.broken:
            raise RuntimeError("a bundle that does not load")
        self.loaded.append(version.name)
        known = [self.items[id] for id in version.card["items"]]
        if not known:
            return FakeItemScorer.over(np.zeros((0, 64)), version=version.name)
        return FakeItemScorer.of_items(known, version=version.name)

    def without(self, items: Sequence[CatalogueItem]) -> ItemScorer:
        self.unfitted.append(len(items))
        return FakeItemScorer.over(np.zeros((0, 64)), version="").with_items(items)


def add_bundle(
    registry: ModelRegistry,
    app: str = "recommend",
    items: Sequence[str] = tuple(item.id for item in ITEMS),
    *,
    day: int = 0,
    change: int = 0,
    use: bool = True,
) -> ModelVersion:
    """A bundle that ``Fitting`` can load, put in use."""
    version = registry.add(
        app,
        card={
            "kind": "recommender",
            "method": "fake",
            "encoder": "words",
            "items": list(items),
            "data": {"items": len(items), "synthetic": True, "change": change},
            "metrics": {"ndcg@10": 0.1 + day / 100},
        },
        write=lambda folder: (folder / "ids.json").write_text("[]") and None,
        now=NOW - timedelta(days=9 - day),
    )
    if use:
        registry.promote(app, version, gate=None, author="ann", now=NOW, force=True)
    return version


def forced(registry: ModelRegistry, app: str, candidate: Any, **options: Any) -> Promotion:
    """A promotion that no gate stands before."""
    return registry.promote(app, candidate, gate=None, **{**options, "force": True})


def make_recommender(
    settings: Settings,
    engine: Engine,
    registry: ModelRegistry,
    *,
    fitting: Fitting | None = None,
    **options: Any,
) -> ServedRecommend:
    """The recommender as ``create_app`` takes it, over whatever is in the database."""
    used = fitting or Fitting()
    return served_recommend(
        settings,
        engine,
        registry,
        load=used.load,
        unfitted_scorer=used.without,
        promote=forced,
        refits=StoredRefits(engine),
        **{"clock": lambda: NOW, "draw": lambda: 7, "poll_seconds": 0.02, **options},
    )


def home(folder: Path, database_url: str | None = None) -> tuple[Settings, ModelRegistry]:
    """An installation's settings and registry below a folder."""
    settings = Settings(home=folder, database_url=database_url)
    return settings, ModelRegistry(settings.models)
