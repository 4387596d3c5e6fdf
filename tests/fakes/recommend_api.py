"""A recommend API that keeps all its state in plain sight. Catalogue, users and numbers invented.

An item scores for each event of the history with an item of its category, and for its popularity;
nothing is fitted. The settings that lists were asked with are kept in ``asked``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.api import recommend, recommend_lists, recommend_operations
from shared.api.drift import AppDrift
from shared.catalogue import EVENT_STRENGTHS
from tests.fakes.recommend_catalogue import HISTORIES, ITEMS, NEW, POPULAR
from tests.fakes.support_api import Refused

MORNING = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BUNDLES = ("20261123T020000Z-bbbbbbbb", "20261116T020000Z-aaaaaaaa")


class FakeRecommendApi:
    """The state of the fake; ``recommend_api_routes.routes_of`` puts it on HTTP.

    ``now``       the present of the fake
    ``key``       when set, every request but /readyz needs it
    ``ready``     when False, no bundle was fitted
    ``synthetic`` whether the behaviour is a generator's
    ``worse``     bundles that the gate refuses
    ``visits``    stored visits, and the user whose history is theirs
    ``asked``     the settings of lists, as they came; ``tenants`` whose they were
    ``done``      what was changed: the action, its subject, and who
    """

    def __init__(self, now: datetime = MORNING) -> None:
        self.now = now
        self.reset()

    def reset(self) -> None:
        """Forget what was done, and begin with the same data again."""
        self.drift: AppDrift | None = None
        self.key: str | None = None
        self.ready = True
        self.synthetic = True
        self.worse: set[str] = set()
        self.items = {told.id: told.shape for told in ITEMS}
        self.histories = {
            user: [self._did(type, item, ago) for type, item, ago in deeds]
            for user, deeds in HISTORIES.items()
        }
        self.visits = {"visit-7": "jonas"}
        self.asked: list[dict[str, Any]] = []
        self.tenants: list[str | None] = []
        self.clicks: list[tuple[str, str]] = []
        self.done: list[tuple[str, ...]] = []
        self.in_use = BUNDLES[1]
        self.promotions = [self._promotion(BUNDLES[1], None, "ines", 6, "nothing was in use")]
        self.refit = recommend_operations.RefitShape(
            state="idle",
            finished_at=self.now - timedelta(hours=31),
            events_at_refit=12_480,
            events_now=13_204,
        )
        self.experiments = [self._experiment()]

    # Items and users

    def item(self, id: str) -> recommend.ItemShape:
        if id not in self.items:
            raise Refused(404, "not_found", f"there is no item {id}")
        return self.items[id]

    def summary(self, id: str) -> recommend_lists.ItemSummary:
        return recommend_lists.ItemSummary(**dict(self.item(id)))

    def user(self, id: str) -> recommend.UserShape:
        history = self.histories.get(id, [])
        return recommend.UserShape(
            id=id,
            events=len(history),
            bought=[entry.item for entry in history if entry.type == "purchase"],
            history=history[::-1],
        )

    def add_event(self, event: dict[str, Any]) -> None:
        history = self.histories.setdefault(event["user"], [])
        history.append(self._did(event["type"], event["item"], 0))

    def forget(self, user: str) -> recommend.ForgetShape:
        events = len(self.histories.pop(user, []))
        return recommend.ForgetShape(
            id="5" * 32,
            user_hash="ab" * 32,
            at=self.now,
            removed={"events": events, "impressions": 3, "clicks": 1},
        )

    # Lists

    def list_for(
        self,
        history: Sequence[recommend.HistoryEntry],
        asked: recommend_lists.ListSettings,
    ) -> recommend_lists.ListShape:
        """What fits the filters and is not bought, the greatest score first."""
        bought = {entry.item for entry in history if entry.type == "purchase"}
        kept, missing = [], {"category": 0, "price": 0, "unavailable": 0, "bought": 0}
        for id in self.items:
            reason = self._barred(id, asked.filters, bought)
            if reason:
                missing[reason] += 1
            else:
                kept.append(id)
        entries = [self._entry(id, history, asked.explain) for id in kept]
        entries.sort(key=lambda entry: -entry.score)
        return recommend_lists.ListShape(
            request_id=f"{len(self.asked):032x}" if asked.record else None,
            bundle=self.in_use if self.ready else None,
            events=len(history),
            entries=entries[: asked.k],
            missing=[
                recommend_lists.MissingShape(reason=reason, items=count)
                for reason, count in missing.items()
                if count and len(entries) < asked.k
            ],
        )

    def _barred(
        self, id: str, filters: recommend_lists.FilterShape, bought: set[str]
    ) -> str | None:
        item = self.items[id]
        if filters.categories and item.category not in filters.categories:
            return "category"
        if item.category in filters.exclude_categories:
            return "category"
        low, high = filters.min_price or 0, filters.max_price or math.inf
        if (low or high < math.inf) and not (item.price is not None and low <= item.price <= high):
            return "price"
        if filters.available_only and not item.available:
            return "unavailable"
        return "bought" if filters.hide == "bought" and id in bought else None

    def _entry(
        self, id: str, history: Sequence[recommend.HistoryEntry], explain: bool
    ) -> recommend_lists.EntryShape:
        given = {
            entry.item: entry.strength * 0.8**place * (1.0 if self._alike(id, entry.item) else 0.1)
            for place, entry in enumerate(reversed(history))
            if entry.strength > 0 and entry.item != id
        }
        types = {entry.item: entry.type for entry in history}
        popular = POPULAR.get(id, 0.2)
        score = sum(given.values()) + popular
        best = sorted(given, key=lambda item: -given[item])[:5]
        new = id in NEW
        reasons = recommend_lists.ReasonsShape(
            because=[
                recommend_lists.BecauseShape(
                    item=item,
                    title=self.items[item].title if item in self.items else None,
                    type=types[item],
                    share=given[item] / score,
                )
                for item in best
            ],
            other=sum(share for item, share in given.items() if item not in best) / score,
            popular=popular / score,
            nearest=recommend_lists.NearestShape(item=best[0], title=self.items[best[0]].title)
            if new and best
            else None,
        )
        return recommend_lists.EntryShape(
            item=self.summary(id),
            score=score,
            source="exploration" if new else "behaviour" if best else "popular",
            reasons=reasons if explain else None,
        )

    def _alike(self, one: str, other: str) -> bool:
        return other in self.items and self.items[one].category == self.items[other].category

    def nearest(self, id: str) -> list[recommend_lists.ScoredItem]:
        """All other items, the nearest on the map first."""
        at = {told.id: (told.x, told.y) for told in ITEMS}
        near = sorted((math.dist(at[id], at[other]), other) for other in at if other != id)
        return [
            recommend_lists.ScoredItem(item=self.summary(other), score=1 / (1 + distance))
            for distance, other in near
        ]

    def fitting(self, text: str) -> list[recommend_lists.ScoredItem]:
        """Items that share words with the text."""
        words = set(text.casefold().split())
        found = [
            (len(words & set(f"{item.title} {item.text}".casefold().split())), id)
            for id, item in self.items.items()
        ]
        return [
            recommend_lists.ScoredItem(item=self.summary(id), score=count / max(len(words), 1))
            for count, id in sorted(found, key=lambda one: -one[0])
            if count
        ]

    # Bundles and experiments

    def bundles(self) -> list[recommend_operations.BundleShape]:
        if not self.ready:
            return []
        return [
            self._bundle(BUNDLES[0], 0.151, 0.61, 1),
            self._bundle(BUNDLES[1], 0.143, 0.57, 8),
        ]

    def promote(self, version: str, author: str, *, force: bool) -> None:
        if version in self.worse and not force:
            raise Refused(409, "conflict", f"{version} is worse: ndcg@10 .143 against .151")
        reason = "forced" if force else "ndcg@10 is not worse"
        self.promotions.insert(0, self._promotion(version, self.in_use, author, 0, reason))
        self.in_use = version

    def find_experiment(self, id: str) -> recommend_operations.ExperimentShape:
        for experiment in self.experiments:
            if experiment.id == id:
                return experiment
        raise Refused(404, "not_found", f"there is no experiment {id}")

    def results(self, id: str) -> recommend_operations.ExperimentResults:
        experiment = self.find_experiment(id)
        counted = id == f"{1:032x}"
        numbers = ((1204, 97, 0.0806, 0.0665, 0.0973), (1188, 131, 0.1103, 0.0937, 0.1294))
        arms = [
            recommend_operations.ArmResult(
                name=arm.name,
                impressions=numbers[place][0] if counted else 0,
                clicks=numbers[place][1] if counted else 0,
                rate=numbers[place][2] if counted else None,
                low=numbers[place][3] if counted else None,
                high=numbers[place][4] if counted else None,
            )
            for place, arm in enumerate(experiment.arms)
        ]
        difference = recommend_operations.ArmDifference(
            name=experiment.arms[1].name,
            difference=0.0297 if counted else None,
            low=0.0063 if counted else None,
            high=0.0533 if counted else None,
        )
        return recommend_operations.ExperimentResults(
            experiment=experiment, arms=arms, differences=[difference]
        )

    def _did(self, type: str, item: str, ago: float) -> recommend.HistoryEntry:
        return recommend.HistoryEntry(
            item=item,
            title=self.items[item].title if item in self.items else None,
            type=type,
            at=self.now - timedelta(seconds=ago),
            strength=1.5 if type == "rating" else EVENT_STRENGTHS[type],
        )

    def _bundle(
        self, version: str, ndcg: float, coverage: float, days: int
    ) -> recommend_operations.BundleShape:
        metrics = ranked(ndcg, coverage)
        card = {
            "kind": "recommender",
            "protocol": "temporal",
            "data": {"name": "sample:recommend", "items": 27, "users": 400, "events": 12_480},
            "metrics": metrics,
            "ablations": {
                "all": metrics,
                "behaviour": ranked(ndcg * 0.86, coverage * 0.82),
                "text": ranked(ndcg * 0.55, coverage * 1.35),
                "popular": ranked(ndcg * 0.31, 0.04),
            },
        }
        return recommend_operations.BundleShape(
            version=version,
            created_at=self.now - timedelta(days=days),
            in_use=version == self.in_use,
            method="slist",
            synthetic=self.synthetic,
            metrics=metrics,
            card=card,
        )

    def _promotion(
        self, version: str, previous: str | None, author: str, days: int, reason: str
    ) -> recommend_operations.PromotionRecord:
        return recommend_operations.PromotionRecord(
            version=version,
            previous=previous,
            author=author,
            at=self.now - timedelta(days=days),
            forced=reason == "forced",
            reason=reason,
        )

    def _experiment(self) -> recommend_operations.ExperimentShape:
        return recommend_operations.ExperimentShape(
            id=f"{1:032x}",
            name="More variety",
            state="running",
            arms=[
                recommend_operations.ArmShape(name="as it is", share=0.5),
                recommend_operations.ArmShape(
                    name="varied",
                    share=0.5,
                    settings=recommend_operations.ArmSettings(diversity=0.4, category_cap=3),
                ),
            ],
            created_by="ines",
            created_at=self.now - timedelta(days=3),
            stopped_at=None,
        )


def ranked(ndcg: float, coverage: float) -> dict[str, Any]:
    """Metrics as a card has them."""
    at_10 = {
        "recall": ndcg * 1.6,
        "ndcg": ndcg,
        "hit_rate": ndcg * 1.7,
        "debiased_hit_rate": ndcg * 0.9,
        "coverage": coverage,
        "novelty": 5.5 + 3 * coverage,
        "diversity": 0.4 + 0.3 * coverage,
    }
    return {
        **{f"{name}@10": value for name, value in at_10.items()},
        **{f"{name}@20": value * 1.25 for name, value in at_10.items()},
        "users": 387,
        "standard_error": 0.0112,
        "intervals": {
            "ndcg@10": [ndcg - 0.012, ndcg + 0.012],
            "recall@10": [ndcg * 1.6 - 0.02, ndcg * 1.6 + 0.02],
        },
    }
