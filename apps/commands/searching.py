"""``triptych search support`` and ``triptych search finance``: one command, told of the app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from apps.finance import training_data as finance_data
from apps.support.conversation import knowledge
from apps.support.learning import training_data as support_data
from data_connectors.data_source import DataSource, announced
from shared.command_line import reports_errors
from shared.finetuning.methods import Method
from shared.records import Dataset
from shared.settings import Settings
from shared.training_options import (
    budget_seconds,
    data_words,
    named_data,
    parse_fields,
    search_options,
)


def search_command(
    app: str,
    sample: str,
    load_source: Callable[[DataSource, Settings], Dataset],
    *,
    model: str,
    defaults: Mapping[str, Any] | None = None,
    usual_epochs: Callable[[Dataset], int] | None = None,
) -> click.Command:
    """The command of an app that reads texts; ``model`` is what it trains, in words."""

    @click.command(
        app,
        help=f"""Try recipes for {model}, and print the best as a line that trains by it.

        Recipes are scored on the validation split; the test split is never looked at.
        """,
    )
    @search_options(sample)
    @reports_errors
    def command(
        data: str | None,
        train_data: str | None,
        test_data: str | None,
        text_column: str | None,
        label_column: str | None,
        query: str | None,
        methods: tuple[Method, ...],
        budget: str,
        trials: int | None,
        encoder: str | None,
        seed: int,
        device: str | None,
        fields: tuple[str, ...],
        resume: bool,
        as_json: bool,
    ) -> None:
        settings = Settings()
        seconds = budget_seconds(budget)
        name, test = named_data(data, train_data, test_data, sample)
        source = DataSource(name, text_column, label_column, query, test)
        dataset = announced(load_source(source, settings), settings)

        from models.search_run import search_in_home
        from shared.evaluation.search_table import show_search

        found = search_in_home(
            dataset,
            app=app,
            given={**(defaults or {}), "seed": seed, **parse_fields(fields)},
            settings=settings,
            words=data_words(name, test, text_column, label_column, query, encoder, seed),
            budget=seconds,
            methods=methods,
            most_trials=trials,
            encoder=encoder,
            device=device,
            resume=resume,
            usual_epochs=usual_epochs and usual_epochs(dataset),
        )
        show_search(found, as_json=as_json)

    return command


support = search_command(
    knowledge.APP, knowledge.SAMPLE_SOURCE, support_data.load_source, model="an intent classifier"
)
finance = search_command(
    finance_data.APP,
    finance_data.SAMPLE_SOURCE,
    finance_data.load_source,
    model="a sentiment model",
    defaults=finance_data.DEFAULTS,
    usual_epochs=finance_data.epochs_for,
)
