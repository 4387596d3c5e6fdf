"""The ``triptych support`` group. Each command is imported when it runs."""

from __future__ import annotations

import click

from shared.command_line import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "classify": ("apps.support.commands.classify:classify", "Classify messages."),
        "check": ("apps.support.commands.check:check", "Look for faults in a data set."),
        "retrain": ("apps.support.commands.learning:retrain", "Train on all, gate, promote."),
        "add-intent": ("apps.support.commands.learning:add_intent", "Add an intent at once."),
    },
)
def support() -> None:
    """The support desk: classify, check data, learn."""
