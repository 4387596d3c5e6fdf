"""``triptych train support`` and ``triptych evaluate support``."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from apps.support.conversation.knowledge import APP, SAMPLE_SOURCE
from apps.support.learning.training_data import load_source, load_unlabelled
from data_connectors.data_source import DataSource, announced
from models.scale.training import on_engine
from shared.command_line import reports_errors, user_name
from shared.settings import Settings
from shared.training_options import (
    budget_seconds,
    evaluation_options,
    named_data,
    parse_fields,
    training_options,
)


@click.command()
@training_options(SAMPLE_SOURCE)
@on_engine
@reports_errors
def train(
    data: str | None,
    train_data: str | None,
    test_data: str | None,
    text_column: str | None,
    label_column: str | None,
    query: str | None,
    unlabelled: str | None,
    continue_from: str | None,
    method: str,
    encoder: str | None,
    seed: int,
    device: str | None,
    budget: str | None,
    fields: tuple[str, ...],
    resume: bool,
    promote: bool,
    as_json: bool,
) -> None:
    """Fine-tune an intent classifier on labelled messages and register the version.

    The first version of a machine is put in use at once; a later one with --promote, or by
    `triptych models promote`.
    """
    seconds = budget_seconds(budget)
    settings = Settings()
    name, test = named_data(data, train_data, test_data, SAMPLE_SOURCE)
    source = DataSource(name, text_column, label_column, query, test)
    dataset = announced(load_source(source, settings), settings)
    texts = load_unlabelled(unlabelled, settings, text_column) if unlabelled else ()

    from models.training_run import load_base, train_and_gate
    from shared.evaluation.summary_table import show_summary
    from shared.finetuning.recipe import make_recipe

    trained = train_and_gate(
        dataset,
        app=APP,
        recipe=make_recipe(method=method, seed=seed, **parse_fields(fields)),
        settings=settings,
        source=source.for_card(),
        author=user_name(),
        now=datetime.now(UTC),
        encoder=encoder,
        device=device,
        resume=resume,
        promote=promote,
        unlabelled=texts,
        unlabelled_source=unlabelled and DataSource(unlabelled).for_card(),
        budget=seconds,
        base=load_base(settings, APP, continue_from),
    )
    show_summary(trained.summary, as_json=as_json)


@click.command()
@evaluation_options()
@reports_errors
def evaluate(
    data: str,
    version: str | None,
    split: str,
    text_column: str | None,
    label_column: str | None,
    query: str | None,
    robustness: bool,
    as_json: bool,
) -> None:
    """Measure a version on a split of a data set.

    Splits are those that the version itself was trained with: a text that it was trained on
    never counts as a test text.
    """
    settings = Settings()
    source = DataSource(data, text_column, label_column, query)
    dataset = announced(load_source(source, settings), settings)

    from models.training_run import evaluate_in_home
    from shared.evaluation.summary_table import show_summary

    summary = evaluate_in_home(
        settings, APP, dataset, version=version, split=split, robustness=robustness
    )
    show_summary(summary, as_json=as_json)
