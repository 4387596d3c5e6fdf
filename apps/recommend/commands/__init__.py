"""The ``triptych recommend`` group. Each command is imported when it runs."""

from __future__ import annotations

import click

from shared.command_line import LazyGroup

_HERE = "apps.recommend.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "load-items": (f"{_HERE}.loading:load_items", "Take in items from a file or a data set."),
        "load-events": (f"{_HERE}.loading:load_events", "Take in events from a file or data set."),
        "forget": (f"{_HERE}.forgetting:forget", "Remove all that is known of a user."),
        "for-user": (f"{_HERE}.lists:for_user", "A list for a user, with reasons."),
        "similar": (f"{_HERE}.lists:similar", "The items nearest to an item."),
        "query": (f"{_HERE}.lists:query", "The items that fit a text."),
        "refit": (f"{_HERE}.bundles:refit", "Fit again on what is stored, gate, put in use."),
        "bundles": (f"{_HERE}.bundles:bundles", "List, promote and roll back bundles."),
        "experiments": (f"{_HERE}.experiments:experiments", "A/B tests and their click rates."),
    },
)
def recommend() -> None:
    """The recommender: items, events, lists, bundles, experiments."""
