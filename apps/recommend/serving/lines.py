"""Lines of a bulk request: each becomes a record or is told of. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.api.recommend import EventBody, ItemBody, ItemShape, LineReject
from shared.catalogue import BehaviourEvent, CatalogueItem

R = TypeVar("R")


def items_of(lines: Sequence[Mapping[str, Any]]) -> tuple[list[CatalogueItem], list[LineReject]]:
    """The items, and the lines that are none. Of two lines with one id the later one counts."""
    made, rejects = _each(lines, lambda line: _item_of_line(line))
    last = {item.id: number for number, item in made}
    for number, item in made:
        if last[item.id] != number:
            reason = f"line {last[item.id]} names the item {item.id!r} again"
            rejects.append(LineReject(line=number, reason=reason))
    kept = [item for number, item in made if last[item.id] == number]
    return kept, sorted(rejects, key=lambda reject: reject.line)


def events_of(
    lines: Sequence[Mapping[str, Any]], now: datetime
) -> tuple[list[BehaviourEvent], list[LineReject]]:
    """The events, and the lines that are none. What has no time happened now."""
    made, rejects = _each(lines, lambda line: event_of(EventBody.model_validate(line), now))
    return [event for _, event in made], rejects


def item_of(id: str, body: ItemBody) -> CatalogueItem:
    """An item as the stores keep it. ValueError for one that cannot be."""
    return CatalogueItem(
        id=id,
        title=body.title,
        text=body.text,
        category=body.category,
        price=body.price,
        available=body.available,
        attributes=body.attributes,
    )


def event_of(body: EventBody, now: datetime) -> BehaviourEvent:
    """An event as the stores keep it. ValueError for one that cannot be."""
    return BehaviourEvent(
        id=body.id or uuid.uuid4().hex,
        user=body.user,
        item=body.item,
        type=body.type,
        at=body.at or now,
        session=body.session,
        value=body.value,
        weight=body.weight,
    )


def _item_of_line(line: Mapping[str, Any]) -> CatalogueItem:
    shape = ItemShape.model_validate(line)
    return item_of(shape.id, shape)


def _each(
    lines: Sequence[Mapping[str, Any]], make: Callable[[Mapping[str, Any]], R]
) -> tuple[list[tuple[int, R]], list[LineReject]]:
    made: list[tuple[int, R]] = []
    rejects: list[LineReject] = []
    for number, line in enumerate(lines):
        try:
            made.append((number, make(line)))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False, include_context=False)
            told = "; ".join(
                f"{'.'.join(map(str, fault['loc']))[:80] or 'line'}: {fault['msg']}"
                for fault in faults[:3]
            )
            rejects.append(LineReject(line=number, reason=told))
        except ValueError as error:
            rejects.append(LineReject(line=number, reason=str(error)))
    return made, rejects
