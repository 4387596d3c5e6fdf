"""The catalogues that are served: one of each tenant in memory, as new as the database.

    registry pointer ─(twice a second)─> bundle ─┐
    items in the database ─(change number)───────┴─> CatalogueView ─> requests

A request reads the catalogue's change number first and goes on with a view that has it: what was
acknowledged before, by whichever process, is in its answer. Histories are not held at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.recommend.items.store import ItemStore
from apps.recommend.serving.catalogue_view import CatalogueView
from apps.recommend.tenants import check_tenant, registry_app
from models.recommendation.scoring import ItemScorer
from shared.catalogue import CatalogueItem
from shared.errors import TriptychError
from shared.serving.version_in_use import VersionInUse, VersionPointer

LOGGER = logging.getLogger(__name__)

IDLE_SECONDS = 3_600.0
"""After so long without a request a tenant's catalogue leaves the memory."""

STOP_SECONDS = 5.0
"""How long a catalogue that is being opened is waited for at the end."""

Load = Callable[[Any], ItemScorer]
"""From a ``models.registry.ModelVersion`` to what scores; may take seconds."""

Unfitted = Callable[[Sequence[CatalogueItem]], ItemScorer]
"""What scores items of which no behaviour is fitted yet: by their texts and popularity."""


class LiveTenant:
    """One tenant's catalogue, which follows the database and the registry; safe between threads."""

    def __init__(
        self,
        tenant: str,
        store: ItemStore,
        registry: VersionPointer,
        *,
        load: Load,
        unfitted: Unfitted,
        poll_seconds: float = 0.5,
    ) -> None:
        self.tenant = tenant
        self._store = store
        self._load = load
        self._unfitted = unfitted
        self._following = threading.Lock()
        self._in_use: VersionInUse[CatalogueView] = VersionInUse(
            registry_app(tenant), registry, self._open, _warm, poll_seconds=poll_seconds
        )
        self._fitted: CatalogueView | None = None
        self._view: CatalogueView | None = None

    def start(self) -> None:
        """Load the bundle in use, if there is one, and follow the registry from here on."""
        self._in_use.start()

    def stop(self) -> None:
        """Stop following the registry."""
        self._in_use.stop()

    def refresh(self) -> bool:
        """Load the bundle that the registry names now; whether it was another."""
        return self._in_use.refresh()

    @property
    def last_error(self) -> str | None:
        """Why the bundle in use cannot be loaded, where that is so."""
        return self._in_use.last_error

    @property
    def bundle(self) -> str | None:
        """The bundle that is loaded."""
        return self._in_use.version

    @property
    def change(self) -> int | None:
        """The change number of the catalogue in memory; None before it is there."""
        view = self._view
        return None if view is None else view.change

    def view(self, needed: int | None = None) -> CatalogueView:
        """The catalogue with every change that was committed before this was called.

        Who has read the change number already says which one is ``needed``. The first request
        without a bundle embeds the catalogue; later ones embed what is new.
        """
        needed = self._store.change() if needed is None else needed
        view = self._view
        if view is not None and view.change >= needed and not self._superseded():
            return view
        with self._following:
            return self._follow(needed)

    def _superseded(self) -> bool:
        return self._in_use.ready and self._in_use.current() is not self._fitted

    def _follow(self, needed: int) -> CatalogueView:
        view = self._view
        if self._superseded():
            view = self._fitted = self._in_use.current()
        elif view is None:
            view = self._without_bundle()
        if view.change < needed:
            changes = self._store.changes_since(view.change)
            view = view.after(changes.items, changes.deleted, changes.change)
        self._view = view
        return view

    def _open(self, version: Any) -> CatalogueView:
        """The catalogue under a bundle: what came after its fit is known by its text."""
        scorer = self._load(version)
        change, items = self._catalogue()
        data = version.card.get("data") or {}
        seen = int(data.get("change", 0))
        later = {item.id for item in self._store.changes_since(seen).items}
        new = [item for item in items.values() if item.id in later or item.id not in scorer.row_of]
        return CatalogueView.of(
            scorer.with_items(new) if new else scorer,
            items,
            change,
            bundle=version.name,
            synthetic=bool(data.get("synthetic", False)),
        )

    def _without_bundle(self) -> CatalogueView:
        change, items = self._catalogue()
        return CatalogueView.of(self._unfitted(tuple(items.values())), items, change, bundle=None)

    def _catalogue(self) -> tuple[int, Mapping[str, CatalogueItem]]:
        """A change number and the items, each at least as new as the number says."""
        change = self._store.change()
        return change, {item.id: item for item in self._store.all()}


@dataclass(slots=True)
class _Opened:
    live: LiveTenant
    used_at: float


class LiveTenants:
    """The tenants that are in memory: opened by their first request, dropped when idle.

    ``make`` gives a tenant that is not started. Opening one drops those that are idle.
    """

    def __init__(
        self,
        make: Callable[[str], LiveTenant],
        *,
        idle_seconds: float = IDLE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._idle_seconds = idle_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._opened: dict[str, _Opened] = {}
        self._behind: dict[str, threading.Thread] = {}

    def get(self, tenant: str) -> LiveTenant:
        """The tenant, opened now if it was not. Raises SettingsError for a name that is none."""
        check_tenant(tenant)
        now = self._monotonic()
        opened = self._opened.get(tenant)
        if opened is None:
            with self._lock:
                opening = self._opening.setdefault(tenant, threading.Lock())
            with opening:
                opened = self._opened.get(tenant)
                if opened is None:
                    self.drop_idle()
                    live = self._make(tenant)
                    live.start()
                    opened = _Opened(live, now)
                    with self._lock:
                        self._opened[tenant] = opened
        opened.used_at = now
        return opened.live

    def follow(self, tenant: str) -> None:
        """Bring a catalogue up to what is committed, so that the next list need not.

        A catalogue that is not in memory is left to a thread: after a restart who writes is
        answered as soon as the write is kept, and not when the encoder is loaded. Raises
        SettingsError for a name that is none.
        """
        check_tenant(tenant)
        opened = self._opened.get(tenant)
        if opened is not None and opened.live.change is not None:
            self.get(tenant).view()
            return
        with self._lock:
            running = self._behind.get(tenant)
            if running is None or not running.is_alive():
                running = threading.Thread(
                    target=self._open_behind, args=(tenant,), name=f"open-{tenant}", daemon=True
                )
                self._behind[tenant] = running
                running.start()

    def _open_behind(self, tenant: str) -> None:
        try:
            self.get(tenant).view()
        except Exception:
            LOGGER.exception("the catalogue of %s could not be opened; a list tries again", tenant)

    def names(self) -> list[str]:
        """The tenants in memory."""
        with self._lock:
            return sorted(self._opened)

    def drop_idle(self) -> list[str]:
        """Drop the tenants that nobody asked for of late; which they were."""
        limit = self._monotonic() - self._idle_seconds
        with self._lock:
            idle = [name for name, opened in self._opened.items() if opened.used_at < limit]
            gone = [self._opened.pop(name) for name in idle]
        for opened in gone:
            opened.live.stop()
        return idle

    def refresh(self, app: str) -> bool:
        """Let the tenant of that registry name load its bundle now; whether it was another.

        One that does not load is told of by its tenant; the bundle before goes on serving.
        """
        with self._lock:
            opened = [one.live for one in self._opened.values()]
        for live in opened:
            if registry_app(live.tenant) == app:
                try:
                    return live.refresh()
                except Exception:
                    LOGGER.exception("%s could not load the bundle that was put in use", app)
        return False

    def stop(self) -> None:
        """Stop them all."""
        for thread in list(self._behind.values()):
            thread.join(timeout=STOP_SECONDS)
        with self._lock:
            opened = list(self._opened.values())
            self._opened.clear()
        for one in opened:
            try:
                one.live.stop()
            except TriptychError:
                LOGGER.exception("stopping the tenant %s failed", one.live.tenant)


def _warm(view: CatalogueView) -> None:
    """One list, so that the first request does not pay for what a first use sets up."""
    import numpy as np

    from shared.histories import UserHistory

    if view.items:
        allowed = np.ones(len(view.scorer.item_ids), dtype=bool)
        view.scorer.score(UserHistory.of([0]), allowed=allowed, wanted=1, now=0.0)
