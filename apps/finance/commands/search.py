"""``triptych search finance``."""

from __future__ import annotations

import click

from apps.finance.training_data import APP, DEFAULTS, SAMPLE_SOURCE, epochs_for, load_source
from data_connectors.data_source import DataSource, announced
from shared.command_line import reports_errors
from shared.finetuning.methods import Method
from shared.settings import Settings
from shared.training_options import (
    budget_seconds,
    data_words,
    named_data,
    parse_fields,
    search_options,
)


@click.command()
@search_options(SAMPLE_SOURCE)
@reports_errors
def search(
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
    """Try recipes for a sentiment model, and print the best as a line that trains by it.

    Recipes are scored on the validation split; the test split is never looked at.
    """
    settings = Settings()
    seconds = budget_seconds(budget)
    name, test = named_data(data, train_data, test_data, SAMPLE_SOURCE)
    source = DataSource(name, text_column, label_column, query, test)
    dataset = announced(load_source(source, settings), settings)

    from models.search_run import search_in_home
    from shared.evaluation.search_table import show_search

    found = search_in_home(
        dataset,
        app=APP,
        given={**DEFAULTS, "seed": seed, **parse_fields(fields)},
        settings=settings,
        words=data_words(name, test, text_column, label_column, query, encoder, seed),
        budget=seconds,
        methods=methods,
        most_trials=trials,
        encoder=encoder,
        device=device,
        resume=resume,
        usual_epochs=epochs_for(dataset),
    )
    show_search(found, as_json=as_json)
