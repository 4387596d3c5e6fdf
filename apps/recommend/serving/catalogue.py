"""What a product team brings and asks back: items, events, users, and the catalogue as a whole."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine

from apps.recommend.events.store import EventStore
from apps.recommend.forgetting import forget
from apps.recommend.items.store import ItemStore
from apps.recommend.serving import answers
from apps.recommend.serving.catalogue_map import plane
from apps.recommend.serving.catalogue_view import CatalogueView
from apps.recommend.serving.lines import events_of, item_of, items_of
from shared.api import recommend, recommend_lists
from shared.errors import DataError, NotFound


class CatalogueService:
    """What the routes of items, events and users call; every method blocks.

    What is acknowledged is committed. ``view`` gives a tenant's catalogue as it is now; ``follow``
    is told that it changed.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        view: Callable[[str], CatalogueView],
        follow: Callable[[str], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._view = view
        self._follow = follow
        self._clock = clock
        self._writing = threading.Lock()
        self._drawing = threading.Lock()
        self._drawn: dict[str, tuple[tuple[str | None, int, int], recommend_lists.MapShape]] = {}

    # Items

    def put_items(self, tenant: str, body: recommend.ItemsBody) -> recommend.ItemsReceipt:
        """Add or change items; the lines that are none are told of."""
        items, rejects = items_of(body.items)
        with self._writing:
            counts = ItemStore(self._engine, tenant).upsert(items, self._clock())
        if counts.added or counts.changed:
            self._follow(tenant)  # whoever writes waits for the encoder, not who asks for a list
        return recommend.ItemsReceipt(
            added=counts.added,
            changed=counts.changed,
            unchanged=counts.unchanged,
            rejects=rejects,
        )

    def put_item(self, tenant: str, id: str, body: recommend.ItemBody) -> recommend.ItemShape:
        """Add or change one item. Raises DataError for one that cannot be."""
        try:
            item = item_of(id, body)
        except ValueError as error:
            raise DataError(f"item {id!r} cannot be used: {error}", item=id) from error
        with self._writing:
            ItemStore(self._engine, tenant).upsert([item], self._clock())
        self._follow(tenant)
        return answers.as_item(item)

    def item(self, tenant: str, id: str) -> recommend.ItemShape:
        """One item. Raises NotFound."""
        found = ItemStore(self._engine, tenant).get(id)
        if found is None:
            raise _no_item(id)
        return answers.as_item(found)

    def items(self, tenant: str, query: str | None, limit: int) -> recommend_lists.Items:
        """Items that have every word of the query in id or title, in the order of their ids."""
        words = (query or "").casefold().split()
        found = []
        items = self._view(tenant).items
        for id in sorted(items):
            text = f"{id} {items[id].title}".casefold()
            if all(word in text for word in words):
                found.append(answers.as_summary(items[id]))
                if len(found) == limit:
                    break
        return recommend_lists.Items(items=found)

    def delete_item(self, tenant: str, id: str) -> None:
        """Take an item out of the catalogue. Raises NotFound."""
        with self._writing:
            if not ItemStore(self._engine, tenant).delete([id], self._clock()):
                raise _no_item(id)

    # Events and users

    def add_events(self, tenant: str, body: recommend.EventsBody) -> recommend.EventsReceipt:
        """Keep events, those of known ids once; the lines that are none are told of."""
        now = self._clock()
        events, rejects = events_of(body.events, now)
        with self._writing:
            counts = EventStore(self._engine, tenant).add(events, now)
        return recommend.EventsReceipt(
            added=counts.added,
            repeated=counts.repeated,
            unknown_items=counts.unknown_items,
            rejects=rejects,
        )

    def user(self, tenant: str, user: str) -> recommend.UserShape:
        """What is known of a user."""
        events = EventStore(self._engine, tenant)
        return answers.as_user(self._view(tenant), user, events.history(user), events.bought(user))

    def users(self, tenant: str, prefix: str, limit: int) -> recommend.Users:
        """Users whose id begins so, those with the most events first."""
        found = EventStore(self._engine, tenant).users(limit, prefix)
        return recommend.Users(
            users=[recommend.UserCount(id=user, events=events) for user, events in found]
        )

    def forget(self, tenant: str, user: str) -> recommend.ForgetShape:
        """Remove all that is known of a user, at once."""
        with self._writing:
            receipt = forget(self._engine, tenant, user, self._clock())
        return recommend.ForgetShape(
            id=receipt.id,
            user_hash=receipt.user_hash,
            at=receipt.at,
            removed=dict(receipt.removed),
        )

    # The catalogue as a whole

    def status(self, tenant: str) -> recommend_lists.StatusShape:
        """A tenant at a glance."""
        view = self._view(tenant)
        counts = Counter(item.category for item in view.items.values())
        return recommend_lists.StatusShape(
            tenant=tenant,
            items=len(view.items),
            events=EventStore(self._engine, tenant).count(),
            bundle=view.bundle,
            synthetic=view.synthetic,
            categories=[
                recommend_lists.CategoryCount(category=name, items=count)
                for name, count in sorted(
                    counts.items(), key=lambda pair: (pair[0] is None, pair[0] or "")
                )
            ],
        )

    def map(self, tenant: str, limit: int) -> recommend_lists.MapShape:
        """The catalogue in the plane, drawn anew when it has changed."""
        view = self._view(tenant)
        key = (view.bundle, view.change, limit)
        drawn = self._drawn.get(tenant)
        if drawn is not None and drawn[0] == key:
            return drawn[1]
        with self._drawing:
            shape = _map(view, limit)
            self._drawn[tenant] = (key, shape)
        return shape


def _map(view: CatalogueView, limit: int) -> recommend_lists.MapShape:
    rows, places = plane(view.scorer.vectors, view.arrays.listed, limit)
    points = []
    for row, (x, y) in zip(rows.tolist(), places.tolist(), strict=True):
        item = view.items[view.scorer.item_ids[row]]
        points.append(
            recommend_lists.MapPoint(id=item.id, title=item.title, category=item.category, x=x, y=y)
        )
    return recommend_lists.MapShape(bundle=view.bundle, items=len(view.items), points=points)


def _no_item(id: str) -> NotFound:
    return NotFound(f"there is no item {id!r} in the catalogue", item=id)
