"""``triptych train finance`` and ``triptych evaluate finance``."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from apps.finance.training_data import (
    APP,
    DEFAULTS,
    MEASURED_BY,
    SAMPLE_SOURCE,
    epochs_for,
    load_source,
    load_unlabelled,
    with_corrections,
)
from data_connectors.data_source import DataSource, announced
from models.scale.training import on_engine
from shared.command_line import database, reports_errors, say, user_name
from shared.records import Dataset
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
@click.option(
    "--corrections/--no-corrections",
    default=True,
    show_default=True,
    help="Learn from what people corrected, too.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 50),
    help="Measure by cross-validation with so many folds, then train on all.",
)
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
    corrections: bool,
    folds: int | None,
    as_json: bool,
) -> None:
    """Fine-tune a sentiment model on headlines labelled negative, neutral or positive.

    A column `entity` names the company that a label is about; rows without it are about the whole
    headline. The first version of a machine is put in use at once; a later one with --promote, or
    by `triptych models promote`.
    """
    seconds = budget_seconds(budget)
    settings = Settings()
    name, test = named_data(data, train_data, test_data, SAMPLE_SOURCE)
    source = DataSource(name, text_column, label_column, query, test)
    dataset = announced(load_source(source, settings), settings)
    if corrections:
        dataset = _corrected(dataset, settings)
    texts = load_unlabelled(unlabelled, settings, text_column) if unlabelled else ()

    asked = {"method": method, "seed": seed, **parse_fields(fields)}
    given = {**DEFAULTS, "epochs": epochs_for(dataset), **asked}

    from models.training_run import load_base, train_and_gate
    from shared.evaluation.summary_table import show_summary
    from shared.finetuning.recipe import make_recipe

    trained = train_and_gate(
        dataset,
        app=APP,
        recipe=make_recipe(**given),
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
        measured_by=MEASURED_BY,
        folds=folds,
    )
    show_summary(
        {**trained.summary, "example_of_each_class": one_of_each(dataset)}, as_json=as_json
    )


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
    """Measure a version on a split of a data set, as a whole and by agreement and conflict.

    Splits are those that the version itself was trained with: a text that it was trained on
    never counts as a test text.
    """
    settings = Settings()
    source = DataSource(data, text_column, label_column, query)
    dataset = announced(load_source(source, settings), settings)

    from models.training_run import evaluate_in_home
    from shared.evaluation.summary_table import show_summary

    summary = evaluate_in_home(
        settings,
        APP,
        dataset,
        version=version,
        split=split,
        measured_by=MEASURED_BY,
        robustness=robustness,
    )
    show_summary({**summary, "example_of_each_class": one_of_each(dataset)}, as_json=as_json)


def one_of_each(dataset: Dataset) -> dict[str, str]:
    """The shortest example of each class, so that a label that was read wrongly is seen."""
    examples = sorted(dataset.examples, key=lambda example: (len(example.text), example.text))
    return {
        label: next(example.text for example in examples if example.label == label)
        for label in dataset.labels
    }


def _corrected(dataset: Dataset, settings: Settings) -> Dataset:
    """With the corrections that people made here, if there are any."""
    from data_connectors.feedback import read_feedback

    with database(settings) as engine:
        found = read_feedback(engine, APP)
    if not found.examples:
        return dataset
    say(f"{len(found.examples)} corrections go along")
    return with_corrections(dataset, found)
