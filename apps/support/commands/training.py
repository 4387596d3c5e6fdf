"""``triptych train support`` and ``triptych evaluate support``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from apps.support.conversation.knowledge import APP, SAMPLE_SOURCE
from apps.support.learning.training_data import load_source
from data_connectors.data_source import DataSource, count_rejects
from shared.command_line import print_json, reports_errors, say, user_name
from shared.records import Dataset
from shared.settings import Settings
from shared.training_options import (
    evaluation_options,
    named_data,
    parse_fields,
    training_options,
)


@click.command()
@training_options(SAMPLE_SOURCE)
@reports_errors
def train(
    data: str | None,
    train_data: str | None,
    test_data: str | None,
    text_column: str | None,
    label_column: str | None,
    query: str | None,
    method: str,
    encoder: str | None,
    seed: int,
    device: str | None,
    fields: tuple[str, ...],
    resume: bool,
    promote: bool,
    as_json: bool,
) -> None:
    """Fine-tune an intent classifier on labelled messages and register the version.

    The first version of a machine is put in use at once; a later one with --promote, or by
    `triptych models promote`.
    """
    settings = Settings()
    name, test = named_data(data, train_data, test_data, SAMPLE_SOURCE)
    source = DataSource(name, text_column, label_column, query, test)
    dataset = _read(source, settings)

    from models.training_run import train_and_gate
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
    )
    _print(trained.summary, as_json)


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
    as_json: bool,
) -> None:
    """Measure a version on a split of a data set.

    Splits are those that the version itself was trained with: a text that it was trained on
    never counts as a test text.
    """
    settings = Settings()
    dataset = _read(DataSource(data, text_column, label_column, query), settings)

    from models.registry import ModelRegistry
    from models.version_evaluation import evaluate_version
    from shared.finetuning.progress import ConsoleProgress

    with ConsoleProgress() as report:
        evaluated = evaluate_version(
            ModelRegistry(settings.models), APP, dataset, version=version, split=split,
            report=report,
        )  # fmt: skip
    unknown = len(evaluated.unknown_labels)
    if unknown:
        say(f"{unknown} labels are unknown to the version: their examples count as wrong")
    _print(evaluated.summary, as_json)


def _read(source: DataSource, settings: Settings) -> Dataset:
    dataset = load_source(source, settings)
    rejected = count_rejects(dataset, settings)
    if rejected:
        say(rejected)
    return dataset


def _print(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    from shared.evaluation.summary_table import print_summary

    print_summary(summary)
