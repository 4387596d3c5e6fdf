"""``/v1/drift``: what the apps read now against what their versions were made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Engine

from shared.api.drift import DriftOverview
from shared.monitoring.drift_history import KEPT_CHECKS, drift_of
from shared.serving.guards.auth import Principal, require


def drift_routes(
    engine: Engine,
    *,
    apps_of: Callable[[str], Sequence[str]],
    tenant_of: Callable[[Principal, str | None], str],
    in_use: Callable[[str], str | None],
    every_hours: float,
) -> APIRouter:
    """The route over a database.

    ``apps_of`` gives the registry's names of the apps that a tenant may see, ``tenant_of`` the
    tenant that a caller asks for, or NotAllowed.
    """
    router = APIRouter(prefix="/v1/drift", tags=["drift"])

    @router.get("", summary="Drift of each app over time")
    def drift(
        principal: Annotated[Principal, Depends(require("use"))],
        app: Annotated[str | None, Query(max_length=32, description="one app only")] = None,
        checks: Annotated[int, Query(ge=1, le=KEPT_CHECKS, description="of each app")] = 120,
        tenant: Annotated[
            str | None,
            Query(
                pattern=r"^[a-z][a-z0-9-]{0,19}$",
                description="whose recommender; with a key it is the key's",
            ),
        ] = None,
    ) -> DriftOverview:
        """The signals of each comparison beside their limits, and what to do; no texts.

        An app that is not there has no entry.
        """
        return DriftOverview(
            apps=[
                drift_of(engine, name, in_use(name), every_hours=every_hours, most=checks)
                for name in apps_of(tenant_of(principal, tenant))
                if app in (None, name.partition("_")[0])
            ]
        )

    return router
