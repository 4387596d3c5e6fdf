"""The bundles of a tenant as the API tells of them and changes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Engine

from apps.recommend.tenants import registry_app
from models.registry import ModelRegistry, ModelVersion, Promotion
from shared.api import recommend_operations
from shared.api.shapes import PromotionShape
from shared.storage.audit import record

Promote = Callable[..., Promotion]
"""``models.promotion.gate_and_promote``: (registry, app, candidate, *, author, now, force)."""


class Refits(Protocol):
    """What fits again in the background."""

    def request(self, tenant: str, author: str, now: datetime) -> None:
        """Fit the tenant's bundle again, soon."""
        ...

    def state(self, tenant: str) -> recommend_operations.RefitShape:
        """How far the tenant's fit is."""
        ...


class BundleService:
    """What the routes of bundles call; every method blocks.

    ``on_change`` is called with the registry's name of a tenant whose bundle is another now.
    """

    def __init__(
        self,
        engine: Engine,
        registry: ModelRegistry,
        *,
        refits: Refits,
        promote: Promote,
        on_change: Callable[[str], object],
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._refits = refits
        self._promote = promote
        self._on_change = on_change
        self._clock = clock

    def bundles(self, tenant: str) -> recommend_operations.Bundles:
        """All bundles, newest first, and every change of the one in use."""
        app = registry_app(tenant)
        in_use = self._registry.in_use(app)
        return recommend_operations.Bundles(
            bundles=[
                as_bundle(version, in_use=version.name == in_use)
                for version in self._registry.versions(app)
            ],
            promotions=[
                recommend_operations.PromotionRecord(
                    version=past.version,
                    previous=past.previous,
                    author=past.author,
                    at=past.at,
                    forced=past.forced,
                    reason=past.reason,
                )
                for past in reversed(self._registry.history(app))
            ],
            refit=self._refits.state(tenant),
        )

    def refit_state(self, tenant: str) -> recommend_operations.RefitShape:
        """How far the fit is."""
        return self._refits.state(tenant)

    def request_refit(self, tenant: str, author: str) -> recommend_operations.RefitShape:
        """Fit again, in the background."""
        now = self._clock()
        self._record(author, "refit requested", {"tenant": tenant}, now)
        self._refits.request(tenant, author, now)
        return self._refits.state(tenant)

    def promote(self, tenant: str, version: str, author: str, *, force: bool) -> PromotionShape:
        """Put a bundle in use. Raises VersionNotFound, and PromotionRefused by the gate."""
        app = registry_app(tenant)
        candidate = self._registry.get(app, version)
        return self._changed(
            self._promote(
                self._registry, app, candidate, author=author, now=self._clock(), force=force
            )
        )

    def roll_back(self, tenant: str, author: str) -> PromotionShape:
        """Put the bundle before the present one back. Raises VersionNotFound without one."""
        app = registry_app(tenant)
        return self._changed(self._registry.rollback(app, author=author, now=self._clock()))

    def _changed(self, promotion: Promotion) -> PromotionShape:
        shape = PromotionShape(
            app=promotion.app,
            version=promotion.version,
            previous=promotion.previous,
            forced=promotion.forced,
            reason=promotion.reason,
        )
        self._on_change(promotion.app)
        return shape

    def _record(self, actor: str, action: str, details: Mapping[str, Any], at: datetime) -> None:
        with self._engine.begin() as connection:
            record(connection, actor=actor, action=action, details=dict(details), at=at)


def as_bundle(version: ModelVersion, *, in_use: bool) -> recommend_operations.BundleShape:
    """A version by its card."""
    card = version.card
    return recommend_operations.BundleShape(
        version=version.name,
        created_at=version.created_at,
        in_use=in_use,
        method=str(card.get("method", "")),
        synthetic=bool((card.get("data") or {}).get("synthetic", False)),
        metrics=dict(card.get("metrics") or {}),
        card=dict(card),
    )
