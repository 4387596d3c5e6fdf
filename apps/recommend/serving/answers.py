"""From the recommender's records to the shapes that the API answers with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from apps.recommend.events.store import StoredHistory
from apps.recommend.ranking.filters import Filters, Missing
from apps.recommend.ranking.listing import ListRequest, RankedEntry, RankedList
from apps.recommend.ranking.reasons import Reasons
from apps.recommend.serving.catalogue_view import CatalogueView
from shared.api import recommend, recommend_lists
from shared.catalogue import CatalogueItem

SHOWN_TEXT = 280
"""Characters of an item's text that a list shows."""

_ENTRIES = TypeAdapter(list[recommend_lists.EntryShape])


def as_item(item: CatalogueItem) -> recommend.ItemShape:
    """An item, whole."""
    return recommend.ItemShape(
        id=item.id,
        title=item.title,
        text=item.text,
        category=item.category,
        price=item.price,
        available=item.available,
        attributes=dict(item.attributes),
    )


def as_summary(item: CatalogueItem) -> recommend_lists.ItemSummary:
    """An item as a list shows it."""
    return recommend_lists.ItemSummary.model_validate(_summary(item))


def _summary(item: CatalogueItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "title": item.title,
        "text": item.text[:SHOWN_TEXT],
        "category": item.category,
        "price": item.price,
        "available": item.available,
        "attributes": dict(item.attributes),
    }


def as_filters(shape: recommend_lists.FilterShape) -> Filters:
    """The filters of a request. ValueError for a price range that is empty."""
    return Filters(
        categories=frozenset(shape.categories),
        exclude_categories=frozenset(shape.exclude_categories),
        min_price=shape.min_price,
        max_price=shape.max_price,
        available_only=shape.available_only,
        include=None if shape.include is None else frozenset(shape.include),
        exclude=frozenset(shape.exclude),
        attributes={name: frozenset(values) for name, values in shape.attributes.items()},
        hide=shape.hide,
    )


def as_request(settings: recommend_lists.ListSettings, *, seed: int) -> ListRequest:
    """How a list is made; ``seed`` where the request names none."""
    return ListRequest(
        k=settings.k,
        diversity=settings.diversity,
        category_cap=settings.category_cap,
        exploration=settings.exploration,
        damping=settings.damping,
        seed=seed if settings.seed is None else settings.seed,
    )


def as_missing(missing: Sequence[Missing]) -> list[recommend_lists.MissingShape]:
    """Why a list is short."""
    return [recommend_lists.MissingShape(reason=one.reason, items=one.items) for one in missing]


def as_entries(
    view: CatalogueView,
    ranked: RankedList,
    reasons: Sequence[Reasons],
    deeds: Mapping[str, str],
) -> list[recommend_lists.EntryShape]:
    """The places of a list; ``reasons`` one for each of them, or none.

    ``deeds`` says what the user did last with each item of the history.
    """
    told: Sequence[Reasons | None] = reasons or [None] * len(ranked.entries)
    return _ENTRIES.validate_python(
        [
            {
                "item": _summary(_item(view, entry)),
                "score": entry.score,
                "source": entry.source,
                "reasons": None if why is None else _told(view, why, deeds),
            }
            for entry, why in zip(ranked.entries, told, strict=True)
        ]
    )


def as_scored(view: CatalogueView, ranked: RankedList) -> list[recommend_lists.ScoredItem]:
    """The places of a list without reasons."""
    return [
        recommend_lists.ScoredItem(item=as_summary(_item(view, entry)), score=entry.score)
        for entry in ranked.entries
    ]


def as_reasons(
    view: CatalogueView, reasons: Reasons, deeds: Mapping[str, str]
) -> recommend_lists.ReasonsShape:
    """Rows become items with their titles, where they are still in the catalogue."""
    return recommend_lists.ReasonsShape.model_validate(_told(view, reasons, deeds))


def _told(view: CatalogueView, reasons: Reasons, deeds: Mapping[str, str]) -> dict[str, Any]:
    """Reasons before they are a shape: the shapes of a list are validated in one go, which takes a
    third of the time that one after the other takes."""
    ids, items, nearest = view.scorer.item_ids, view.items, reasons.nearest
    because = []
    for one in reasons.because:
        id = ids[one.row]
        known = items.get(id)
        because.append(
            {
                "item": id,
                "title": known.title if known else None,
                "type": deeds.get(id, "view"),
                "share": min(1.0, one.share),
            }
        )
    return {
        "because": because,
        "other": min(1.0, reasons.other_share),
        "popular": min(1.0, reasons.popular_share),
        "nearest": None
        if nearest is None
        else {"item": ids[nearest], "title": title_of(view, ids[nearest])},
    }


def as_user(
    view: CatalogueView, user: str, stored: StoredHistory, bought: frozenset[str]
) -> recommend.UserShape:
    """A user's history, newest first."""
    entries = [
        recommend.HistoryEntry(
            item=item,
            title=title_of(view, item),
            type=type,
            at=datetime.fromtimestamp(seconds, UTC),
            strength=strength,
            session=session,
        )
        for item, strength, seconds, type, session in zip(
            stored.item_ids,
            stored.strengths.tolist(),
            stored.times.tolist(),
            stored.types,
            stored.sessions,
            strict=True,
        )
    ]
    return recommend.UserShape(
        id=user, events=len(entries), bought=sorted(bought), history=entries[::-1]
    )


def title_of(view: CatalogueView, item: str) -> str | None:
    """The title of an item that is in the catalogue."""
    known = view.items.get(item)
    return known.title if known else None


def _item(view: CatalogueView, entry: RankedEntry) -> CatalogueItem:
    return view.items[view.scorer.item_ids[entry.row]]
