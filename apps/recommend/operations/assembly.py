"""The refits of an installation, wired together."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Engine

from apps.recommend.events.store import EventStore
from apps.recommend.operations.nightly import RefitRounds
from apps.recommend.operations.refit import Fit, Promote, Refit
from apps.recommend.operations.refit_state import RefitLedger
from models.promotion import gate_and_promote
from models.promotion_audit import audited_registry
from models.registry import ModelRegistry, ModelVersion
from shared.catalogue import CatalogueItem
from shared.histories import Histories
from shared.settings import Settings


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def installed_fit(settings: Settings, registry: ModelRegistry, engine: Engine) -> Fit:
    """What fits a tenant's bundle here; torch and the encoder are imported when it first does."""

    def fit(
        tenant: str, histories: Histories, items: Sequence[CatalogueItem], now: datetime
    ) -> ModelVersion:
        from apps.recommend.training import fit_stored

        synthetic = EventStore(engine, tenant).any_synthetic()
        return fit_stored(settings, registry, tenant, histories, items, now, synthetic=synthetic)

    return fit


def refit_of(
    settings: Settings,
    engine: Engine,
    *,
    fit: Fit | None = None,
    promote: Promote = gate_and_promote,
    clock: Callable[[], datetime] = utc_now,
) -> Refit:
    """The refits of this process; ``fit`` stands in for the installation's."""
    registry = audited_registry(settings, engine)
    return Refit(
        engine,
        registry,
        fit or installed_fit(settings, registry, engine),
        promote,
        holder=holder(),
        clock=clock,
    )


def rounds_of(engine: Engine, refit: Refit, *, author: str) -> RefitRounds:
    """The rounds of this process."""
    return RefitRounds(RefitLedger(engine), refit, author=author)


def holder() -> str:
    """This process and no other."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"[:120]
