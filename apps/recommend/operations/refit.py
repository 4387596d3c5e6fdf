"""One refit of one tenant: read, fit, compare, put in use. It calls in order and decides nothing.

    lease -> items, histories -> fit -> forgotten meanwhile? -> gate -> promotion -> old ones go

Until the promotion is written, in one step, the bundle before serves; a process killed at any
moment leaves it in use, whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Engine, func, select

from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from apps.recommend.operations.held_lease import HeldLease, holding
from apps.recommend.operations.refit_state import GIVEN_UP, RefitLedger, next_step
from apps.recommend.operations.retention import KEEP, remove_leftovers, remove_old
from apps.recommend.tenants import registry_app
from models.registry import ModelRegistry, ModelVersion, Promotion
from shared.catalogue import CatalogueItem
from shared.errors import EmptyData, PromotionRefused, TriptychError
from shared.histories import Histories
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.leases import Lease
from shared.storage.recommend_tables import forget_receipts

log = logging.getLogger(__name__)

Fit = Callable[[str, Histories, Sequence[CatalogueItem], datetime], ModelVersion]
"""Fits a tenant's bundle of its histories and items, and adds it to the registry."""

Promote = Callable[..., Promotion]
"""``models.promotion.gate_and_promote``: (registry, app, candidate, *, author, now)."""

LEASE_SECONDS = 60.0
"""After the death of whoever fits another may begin within this."""

TRIES = 3
"""How often a fit is made anew because users were forgotten while it was made."""

Outcome = Literal["promoted", "refused", "failed", "busy", "nothing to do"]


@dataclass(frozen=True, slots=True)
class RefitReport:
    """What became of a refit. ``version`` is the bundle that was fitted, ``reason`` in words."""

    tenant: str
    outcome: Outcome
    reason: str
    version: str | None = None
    events: int = 0


class Refit:
    """The refits of one installation.

    ``holder`` names this process and no other.
    """

    def __init__(
        self,
        engine: Engine,
        registry: ModelRegistry,
        fit: Fit,
        promote: Promote,
        *,
        holder: str,
        clock: Callable[[], datetime],
        lease_seconds: float = LEASE_SECONDS,
        keep: int = KEEP,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._fit = fit
        self._promote = promote
        self._holder = holder
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._keep = keep
        self._ledger = RefitLedger(engine)

    def run(self, tenant: str, *, author: str, only_if_due: bool = False) -> RefitReport:
        """Fit the tenant's bundle and put it in use if it is not worse.

        With ``only_if_due`` only where a refit was wished for, or one was interrupted. A refit
        that fails is a report, and stands in the tenant's state.
        """
        name = f"recommend.refit:{tenant}"
        lease = Lease(self._engine, name, self._holder, self._lease_seconds)
        with holding(lease, clock=self._clock) as held:
            if held is None:
                return RefitReport(tenant, "busy", "another process fits this tenant's bundle")
            step = next_step(self._ledger.read(tenant))
            if only_if_due and step == "wait":
                return RefitReport(tenant, "nothing to do", "no refit was asked for")
            if only_if_due and step == "give up":
                self._ledger.finish(tenant, self._clock(), error=GIVEN_UP)
                return RefitReport(tenant, "failed", GIVEN_UP)
            self._ledger.start(tenant, self._clock(), again=only_if_due and step == "fit again")
            report = self._tried(tenant, author, held)
        self._note(author, report)
        return report

    def _tried(self, tenant: str, author: str, held: HeldLease) -> RefitReport:
        report = RefitReport(tenant, "failed", "the refit was stopped")
        try:
            report = self._fitted(tenant, author, held)
        except TriptychError as error:
            report = RefitReport(tenant, "failed", error.message)
        except Exception as error:  # one tenant's fault must not end the refits of the others
            log.exception("the refit of %s failed", tenant)
            report = RefitReport(tenant, "failed", f"the refit failed: {error!r}")
        finally:
            # Where the lease was lost the state is another's to write.
            if held.held:
                told = None if report.outcome == "promoted" else report.reason
                self._ledger.finish(tenant, self._clock(), error=told, events=report.events or None)
        return report

    def _fitted(self, tenant: str, author: str, held: HeldLease) -> RefitReport:
        items, events = ItemStore(self._engine, tenant), EventStore(self._engine, tenant)
        for attempt in range(TRIES):
            forgotten = self._forgotten(tenant)
            catalogue = tuple(items.all())
            if not catalogue:
                raise EmptyData("there is no item to fit on: load items first", tenant=tenant)
            histories = events.histories([item.id for item in catalogue])
            if not len(histories.rows):
                raise EmptyData("no event is of an item: load events first", tenant=tenant)
            candidate = self._fit(tenant, histories, catalogue, self._clock())
            if self._forgotten(tenant) == forgotten:
                break
            log.info("a user of %s was forgotten while try %d was fitted", tenant, attempt + 1)
        else:
            # Less of the forgotten is in it than in the bundle in use; the next is without them.
            self._ledger.wish(tenant, self._clock())
        count = len(histories.rows)
        if not held.held:
            lost = "another process took over, since this one did not answer for too long"
            return RefitReport(tenant, "failed", lost, candidate.name, count)
        app = registry_app(tenant)
        try:
            promotion = self._promote(
                self._registry, app, candidate, author=author, now=self._clock()
            )
        except PromotionRefused as error:
            return RefitReport(tenant, "refused", error.message, candidate.name, count)
        remove_old(self._registry, app, keep=self._keep)
        remove_leftovers(self._registry, app, self._clock())
        return RefitReport(tenant, "promoted", promotion.reason, candidate.name, count)

    def _forgotten(self, tenant: str) -> int:
        query = select(func.count()).select_from(forget_receipts)
        with reading(self._engine) as connection:
            return int(connection.scalar(query.where(forget_receipts.c.tenant == tenant)) or 0)

    def _note(self, author: str, report: RefitReport) -> None:
        details = {
            "tenant": report.tenant,
            "outcome": report.outcome,
            "reason": report.reason,
            "version": report.version,
        }
        with self._engine.begin() as connection:
            record(connection, actor=author, action="refit", details=details, at=self._clock())
