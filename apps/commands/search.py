"""``triptych search``: each app brings its own command."""

from __future__ import annotations

import click

from shared.command_line import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "support": ("apps.support.commands.search:search", "For the intent classifier."),
        "finance": ("apps.finance.commands.search:search", "For the sentiment model."),
    },
)
def search() -> None:
    """Search for the best recipe on validation data; nothing is registered."""
