"""``triptych train`` and ``triptych evaluate``: each app brings its own command."""

from __future__ import annotations

import click

from shared.command_line import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "support": ("apps.support.commands.training:train", "An intent classifier."),
        "finance": ("apps.finance.commands.training:train", "A sentiment model for news."),
        "recommend": ("apps.recommend.commands.training:train", "A recommender's bundle."),
    },
)
def train() -> None:
    """Fine-tune a model for an app, evaluate it, and register the version."""


@click.group(
    cls=LazyGroup,
    lazy={
        "support": ("apps.support.commands.training:evaluate", "The intent classifier."),
        "finance": ("apps.finance.commands.training:evaluate", "The sentiment model."),
        "recommend": ("apps.recommend.commands.evaluation:evaluate", "The recommender's models."),
    },
)
def evaluate() -> None:
    """Measure a model version on a data set."""
