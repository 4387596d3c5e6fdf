"""``triptych search``: a command for each app that reads texts."""

from __future__ import annotations

import click

from shared.command_line import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "support": ("apps.commands.searching:support", "For the intent classifier."),
        "finance": ("apps.commands.searching:finance", "For the sentiment model."),
    },
)
def search() -> None:
    """Search for the best recipe on validation data; nothing is registered."""
