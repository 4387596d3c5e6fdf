"""Where a command takes a catalogue and its behaviour from: a data set's name, or two sources."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from shared.catalogue import BehaviourData
from shared.errors import SettingsError
from shared.settings import Settings

C = TypeVar("C", bound=Callable[..., Any])

ITEM_COLUMNS = {
    "item_id_column": ("id", "The items' column of ids."),
    "title_column": ("title", "The items' column of titles."),
    "text_column": ("text", "The items' column of descriptions."),
    "category_column": ("category", "The items' column of categories."),
    "price_column": ("price", "The items' column of prices."),
}
EVENT_COLUMNS = {
    "user_column": ("user", "The events' column of users."),
    "item_column": ("item", "The events' column of items."),
    "type_column": ("type", "The events' column of types."),
    "time_column": ("time", "The events' column of times."),
    "session_column": ("session", "The events' column of sessions."),
    "value_column": ("value", "The events' column of ratings."),
    "weight_column": ("weight", "The events' column of weights."),
}


def behaviour_options(command: C) -> C:
    """Adds the options that ``read_behaviour`` takes as ``**given``."""
    options = [
        click.option(
            "--data", help="A data set: movielens-small, amazon-beauty or sample:recommend."
        ),
        click.option("--items", help="A file or database address of items, with --events."),
        click.option("--events", help="A file or database address of events, with --items."),
        click.option("--items-query", help="What to select, where --items is an address."),
        click.option("--events-query", help="What to select, where --events is an address."),
        *(
            click.option(f"--{name.replace('_', '-')}", help=told)
            for name, (_, told) in {**ITEM_COLUMNS, **EVENT_COLUMNS}.items()
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def read_behaviour(
    settings: Settings,
    now: datetime,
    *,
    data: str | None,
    items: str | None,
    events: str | None,
    items_query: str | None = None,
    events_query: str | None = None,
    default: str | None = None,
    **columns: str | None,
) -> BehaviourData:
    """The data set of that name, or that of two sources; ``default`` where nothing is named.

    Raises SettingsError where what is named does not go together, and what reading raises.
    """
    if data is None and items is None and events is None:
        data = default
    if data is not None:
        if items or events or items_query or events_query or any(columns.values()):
            raise SettingsError(f"--data {data} brings items, events and columns of its own")
        from apps.recommend.named_data import load_named
        from data_connectors.downloads import ProgressLine

        return load_named(data, settings, now, progress=ProgressLine(sys.stderr))
    if items is None or events is None:
        raise SettingsError("name a data set with --data, or two sources with --items and --events")
    from data_connectors.behaviour import load_behaviour
    from data_connectors.data_source import rejects_path
    from data_connectors.event_files import EventColumns
    from data_connectors.item_files import ItemColumns

    return load_behaviour(
        items,
        events,
        ItemColumns(**{field: columns.get(name) for name, (field, _) in ITEM_COLUMNS.items()}),
        EventColumns(**{field: columns.get(name) for name, (field, _) in EVENT_COLUMNS.items()}),
        rejects_path(settings),
        items_query=items_query,
        events_query=events_query,
    )
