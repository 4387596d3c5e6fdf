"""The ``triptych`` command. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import click

from shared.command_line import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "demo": ("apps.demo:demo", "Run the main job on what the project ships, then serve it."),
        "train": ("apps.commands.training:train", "Fine-tune a model for an app."),
        "evaluate": ("apps.commands.training:evaluate", "Measure a model version on a data set."),
        "search": ("apps.commands.search:search", "Search for a recipe on validation."),
        "embed": ("apps.commands.bulk:embed", "Write the vectors of many texts."),
        "score": ("apps.commands.bulk:score", "Score many texts by the version in use."),
        "models": ("apps.commands.models:models", "List, show, promote and roll back versions."),
        "keys": ("apps.commands.keys:keys", "Create, list, rotate and revoke API keys."),
        "audit": ("apps.commands.audit:audit", "Show who changed what."),
        "drift": ("apps.commands.drift:drift", "Compare what is read now with what was learned."),
        "doctor": ("apps.commands.doctor:doctor", "Look at a running system; say what to do."),
        "db": ("apps.commands.database:database", "Migrate, check, back up, restore, copy."),
        "serve": ("apps.commands.serving:serve", "Serve the HTTP API."),
        "ui": ("apps.commands.serving:ui", "Serve the pages."),
        "support": ("apps.support.commands:support", "The support desk."),
        "finance": ("apps.finance.commands:finance", "The finance monitor."),
        "recommend": ("apps.recommend.commands:recommend", "The recommender."),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="triptych")
def main() -> None:
    """One transformer fine-tuning core, and the applications on it."""


if __name__ == "__main__":
    main()
