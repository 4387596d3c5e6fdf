"""A catalogue and what happened in it, from two sources of the user's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from data_connectors.collecting import RejectsFile
from data_connectors.event_files import EventColumns, read_events
from data_connectors.item_files import ItemColumns, read_items
from data_connectors.tables import is_address, shown_source
from shared.catalogue import BehaviourData, BehaviourEvent, CatalogueItem, EventType
from shared.errors import EmptyData
from shared.records import Reject


def load_behaviour(
    items: str | Path,
    events: str | Path,
    item_columns: ItemColumns | None = None,
    event_columns: EventColumns | None = None,
    rejects: Path | None = None,
    *,
    items_query: str | None = None,
    events_query: str | None = None,
    default_type: EventType = "view",
    name: str | None = None,
) -> BehaviourData:
    """Items and events of two files (or addresses with their queries) as one data set.

    Rejected are also an item whose id came before, an event whose id came before, and an event
    with an item that is not in the catalogue. Rejects go to the file ``rejects`` too.

    Raises EmptyData where no item or no event is left, and what ``read_items`` raises.
    """
    kept_items: dict[str, CatalogueItem] = {}
    kept_events: dict[str, BehaviourEvent] = {}
    rejected: list[Reject] = []
    with RejectsFile(rejects) as rejects_file:

        def refuse(fault: Reject) -> None:
            rejected.append(fault)
            rejects_file.add(fault)

        for place, item in enumerate(read_items(items, item_columns, query=items_query), start=1):
            if isinstance(item, Reject):
                refuse(item)
            elif item.id in kept_items:
                refuse(Reject(place, "the id came before", {"id": item.id, "title": item.title}))
            else:
                kept_items[item.id] = item
        _check_some(kept_items, rejected, items)
        before = len(rejected)
        rows = read_events(events, event_columns, query=events_query, default_type=default_type)
        for place, event in enumerate(rows, start=1):
            if isinstance(event, Reject):
                refuse(event)
            elif event.id in kept_events:
                refuse(Reject(place, "the id came before", _row(event)))
            elif event.item not in kept_items:
                refuse(Reject(place, "its item is not in the catalogue", _row(event)))
            else:
                kept_events[event.id] = event
        _check_some(kept_events, rejected[before:], events)
    return BehaviourData(
        name or f"{_called(items)} + {_called(events)}",
        tuple(kept_items.values()),
        tuple(kept_events.values()),
        tuple(rejected),
    )


def _called(source: str | Path) -> str:
    return shown_source(source) if is_address(source) else Path(source).name


def _row(event: BehaviourEvent) -> dict[str, object]:
    return {
        name: value if isinstance(value, float) else str(value)
        for name, value in asdict(event).items()
        if value is not None
    }


def _check_some(kept: Iterable[object], rejected: list[Reject], source: str | Path) -> None:
    if any(True for _ in kept):
        return
    common = Counter(fault.reason for fault in rejected).most_common(1)
    why = f": {common[0][1]} times {common[0][0]}" if common else ""
    raise EmptyData(
        f"{shown_source(source)}: none of its {len(rejected)} rows can be used{why}",
        source=shown_source(source), rejects=len(rejected),
    )  # fmt: skip
