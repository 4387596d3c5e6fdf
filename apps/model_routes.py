"""``/v1/models``: the registry over HTTP. Promotion goes through the gate here too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import HTMLResponse

from models.promotion import gate_and_promote
from models.registry import ModelRegistry, Promotion
from models.version_files import read_sealed
from shared.api.shapes import (
    ModelCardShape,
    ModelVersions,
    ModelVersionSummary,
    PromoteRequest,
    PromotionShape,
    RollbackRequest,
)
from shared.errors import NotFound
from shared.serving.guards.auth import Principal, require, utc_now
from shared.serving.problems import documented
from shared.tenants import DEFAULT_TENANT

Promote = Callable[..., Promotion]
"""``models.promotion.gate_and_promote``: (registry, app, candidate, *, author, now, force)."""

AppName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="an app's name")]
VersionName = Annotated[
    str, Path(min_length=1, max_length=64, description="a version's name, or how it begins")
]

User = Annotated[Principal, Depends(require("use"))]

OF_THE_DEFAULT_TENANT = frozenset({"recommend"})
"""Apps whose versions hold one tenant's data: a key of another tenant does not see them here."""

REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'none'; sandbox allow-scripts"
)
"""A report is one file with its own styles and scripts; it loads and sends nothing."""


def model_routes(
    registry: ModelRegistry,
    apps: Sequence[str],
    *,
    promote: Promote = gate_and_promote,
    on_change: Callable[[str], None] = lambda app: None,
    clock: Callable[[], datetime] = utc_now,
) -> APIRouter:
    """The routes over ``registry`` for the named apps.

    ``on_change`` is called with an app's name after another of its versions was put in use.
    """
    router = APIRouter(prefix="/v1/models", tags=["models"])

    def visible(principal: Principal) -> list[str]:
        other = principal.tenant != DEFAULT_TENANT
        return [app for app in apps if not (other and app in OF_THE_DEFAULT_TENANT)]

    def known(app: str, principal: Principal) -> str:
        seen = visible(principal)
        if app not in seen:
            raise NotFound(f"there is no app {app!r}: there are {', '.join(seen)}", app=app)
        return app

    def changed(promotion: Promotion) -> PromotionShape:
        shape = PromotionShape(
            app=promotion.app,
            version=promotion.version,
            previous=promotion.previous,
            forced=promotion.forced,
            reason=promotion.reason,
        )
        on_change(promotion.app)
        return shape

    @router.get(
        "",
        summary="Model versions, newest first",
        responses=documented(404),
    )
    def list_versions(
        principal: User,
        app: Annotated[str | None, Query(max_length=32, description="one app only")] = None,
    ) -> ModelVersions:
        """The versions of one app, or of all."""
        wanted = visible(principal) if app is None else [known(app, principal)]
        return ModelVersions(versions=[line for name in wanted for line in _lines(registry, name)])

    @router.get(
        "/{app}/{version}",
        summary="A version's card",
        responses=documented(404, 409),
    )
    def show(app: AppName, version: VersionName, principal: User) -> ModelCardShape:
        """The whole card, as the training wrote it."""
        found = registry.get(known(app, principal), version)
        return ModelCardShape(
            app=app,
            version=found.name,
            in_use=found.name == registry.in_use(app),
            card=dict(found.card),
        )

    @router.get(
        "/{app}/{version}/report.html",
        summary="A version's report",
        response_class=HTMLResponse,
        responses=documented(404, 409),
    )
    def report(app: AppName, version: VersionName, principal: User) -> HTMLResponse:
        """One HTML page that needs nothing else."""
        found = registry.get(known(app, principal), version)
        page = read_sealed(found.folder, "report.html")
        if page is None:
            raise NotFound(f"version {found.name} of {app} has no report", version=found.name)
        return HTMLResponse(page, headers={"Content-Security-Policy": REPORT_POLICY})

    @router.post(
        "/{app}/{version}/promote",
        summary="Put a version in use",
        responses=documented(404, 409),
    )
    def promote_version(
        app: AppName,
        version: VersionName,
        body: PromoteRequest,
        principal: Annotated[Principal, Depends(require("admin"))],
    ) -> PromotionShape:
        """Refused (409) when the gate finds the version worse than the one in use."""
        candidate = registry.get(known(app, principal), version)
        promotion = promote(
            registry, app, candidate, author=body.author, now=clock(), force=body.force
        )
        return changed(promotion)

    @router.post(
        "/{app}/rollback",
        summary="Go back to the version before",
        responses=documented(404, 409),
    )
    def roll_back(
        app: AppName,
        body: RollbackRequest,
        principal: Annotated[Principal, Depends(require("admin"))],
    ) -> PromotionShape:
        """Put the version before the present one back in use."""
        return changed(registry.rollback(known(app, principal), author=body.author, now=clock()))

    return router


def _lines(registry: ModelRegistry, app: str) -> list[ModelVersionSummary]:
    in_use = registry.in_use(app)
    return [
        ModelVersionSummary(
            app=app,
            version=version.name,
            created_at=version.created_at,
            method=str(version.card.get("method", "")),
            encoder=str(version.card.get("encoder", "")),
            metrics=dict(version.card.get("metrics") or {}),
            in_use=version.name == in_use,
        )
        for version in registry.versions(app)
    ]
