"""The ``triptych support`` group. Each command is imported when it runs."""

from __future__ import annotations

import click

from shared.command_line import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "classify": ("apps.support.classify_command:classify", "Classify messages."),
        "check": ("apps.support.check_command:check", "Look for faults in a data set."),
        "retrain": ("apps.support.learning_commands:retrain", "Train on all, gate, promote."),
        "add-intent": ("apps.support.learning_commands:add_intent", "Add an intent at once."),
    },
)
def support() -> None:
    """The support desk: classify, check data, learn."""
