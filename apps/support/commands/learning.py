"""``triptych support retrain`` and ``triptych support add-intent``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, get_args

import click
from pydantic import ValidationError

from shared.api.support import AddIntentReport, AddIntentRequest
from shared.command_line import (
    author_option,
    database,
    json_option,
    print_json,
    reports_errors,
    say,
)
from shared.errors import DataError, UnreadableFile
from shared.finetuning.methods import Method
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.support.learning.versions import RegistryModels
    from shared.records import Dataset


@click.command()
@click.option("--data", help="A data set's name or path; unset: what the version in use learned.")
@click.option("--text-column", help="The column of texts, with --data.")
@click.option("--label-column", help="The column of intents, with --data.")
@click.option("--query", help="What to select, where --data is a database address.")
@click.option("--method", type=click.Choice(get_args(Method)), help="Unset: as the version in use.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True)
@click.option("--force", is_flag=True, help="Put it in use even if it is worse; recorded.")
@author_option
@json_option
@reports_errors
def retrain(
    data: str | None,
    text_column: str | None,
    label_column: str | None,
    query: str | None,
    method: str | None,
    seed: int,
    force: bool,
    author: str,
    as_json: bool,
) -> None:
    """Train on the original data and all corrections, compare, and put the result in use.

    A text keeps its split: none moves from test to training. The result goes into use unless it
    is worse than the version in use on the gate split; then the exit status is 1, and `triptych
    models promote --force` can still put it in use.
    """
    from apps.support.conversation.knowledge import APP
    from apps.support.learning.improvement import retrain as train_again
    from apps.support.learning.training_data import load_source
    from data_connectors.data_source import (
        DataSource,
        count_rejects,
        source_of,
    )
    from data_connectors.feedback import read_feedback
    from shared.finetuning.progress import ConsoleProgress

    settings = Settings()
    models = registry_models(settings)
    if data is not None:
        source = DataSource(data, text_column, label_column, query)
    elif text_column or label_column or query:
        raise click.UsageError("columns and a query describe --data, which is not given")
    else:
        source = source_of(models.in_use())
    with database(settings) as engine, ConsoleProgress() as progress:
        corrections = read_feedback(engine, APP)
        original = load_source(source, settings)
        _say_what_it_learns_from(original, corrections, count_rejects(original, settings))
        summary = train_again(
            models,
            original,
            corrections,
            source=source,
            author=author,
            now=datetime.now(UTC),
            seed=seed,
            report=progress,
            method=method,
            force=force,
        )
    if as_json:
        print_json(summary)
    else:
        _print_training(summary)
    if not summary["promotion"]["promoted"]:
        raise click.exceptions.Exit(1)


@click.command("add-intent")
@click.argument("name")
@click.option("--answer", required=True, help="What the desk answers.")
@click.option(
    "--examples",
    type=click.File("rb"),
    required=True,
    help="A text file in UTF-8 with one example a line, at least 3; - is standard input.",
)
@author_option
@json_option
@reports_errors
def add_intent(name: str, answer: str, examples: IO[bytes], author: str, as_json: bool) -> None:
    """Teach the version in use one more intent NAME, live within seconds.

    It goes live only if no other intent loses more than 1 point of recall on held-out examples;
    otherwise the exit status is 1. A server that runs takes it up by itself.
    """
    from apps.support.learning.improvement import add_intent as teach

    request = intent_request(name, answer, read_lines(examples), author)
    settings = Settings()
    models = registry_models(settings)
    with database(settings) as engine:
        report = teach(models, engine, request, now=datetime.now(UTC))
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print_added(name, report)
    if not report.promoted:
        raise click.exceptions.Exit(1)


def registry_models(settings: Settings) -> RegistryModels:
    """The model versions of this installation."""
    from apps.support.learning.versions import RegistryModels
    from models.promotion_audit import audited_registry

    registry = audited_registry(settings)
    return RegistryModels(registry, encoder=settings.encoder, device=settings.device)


def read_lines(stream: IO[bytes]) -> list[str]:
    """The lines of a text file that are not blank. UnreadableFile where it is not UTF-8."""
    try:
        text = stream.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{stream.name} is no text in UTF-8: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def intent_request(name: str, answer: str, examples: list[str], author: str) -> AddIntentRequest:
    """The request of these parts; DataError says which part is wrong."""
    try:
        return AddIntentRequest(name=name, answer=answer, examples=examples, author=author)
    except ValidationError as error:
        first = error.errors()[0]
        place = " ".join(str(part) for part in first["loc"])
        raise DataError(f"{place}: {first['msg']}", field=place) from error


def _say_what_it_learns_from(original: Dataset, corrections: Dataset, rejected: str | None) -> None:
    say(f"{len(original.examples)} examples of {original.name}")
    if rejected:
        say(rejected)
    say(f"{len(corrections.examples)} corrections by people")


def _print_training(summary: dict[str, Any]) -> None:
    feedback, promotion = summary["feedback"], summary["promotion"]
    click.echo(f"version      {summary['version']}")
    if summary["metrics"] is not None:
        click.echo(f"accuracy     {summary['metrics']['accuracy']:.4f} on its test split")
    click.echo(
        f"corrections  {feedback['corrections']}: {feedback['relabelled']} changed a label,"
        f" {feedback['added']} are new texts"
    )
    word = "yes" if promotion["promoted"] else "no"
    click.echo(f"in use       {word}: {promotion['reason']}")


def _print_added(name: str, report: AddIntentReport) -> None:
    click.echo(f"version   {report.version}, made from {report.previous}")
    click.echo(f"live      {'yes' if report.promoted else 'no'}: {report.reason}")
    click.echo(
        f"accuracy  {report.accuracy_before:.4f} before {name}, {report.accuracy_after:.4f} after,"
        " on held-out examples of the other intents"
    )
    if report.largest_loss_intent is not None:
        click.echo(f"loss      {report.largest_loss_intent} {report.largest_loss:.1f} points")
    click.echo(f"took      {report.seconds:.1f} s")
