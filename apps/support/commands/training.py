"""``triptych train support`` and ``triptych evaluate support``."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Any

import click

from apps.support.conversation.knowledge import APP, SAMPLE_SOURCE
from apps.support.learning.training_data import load_source
from data_connectors.data_source import DataSource, count_rejects
from shared.command_line import print_json, reports_errors, say
from shared.errors import DataError, PromotionRefused, SettingsError
from shared.settings import Settings


@click.command()
@click.option(
    "--data", "data", help=f"A data set's name, a file, or a database address. [{SAMPLE_SOURCE}]"
)
@click.option("--train-data", help="Training data, where training and test data are two sources.")
@click.option("--test-data", help="The test data that goes with --train-data.")
@click.option("--text-column", help="The column of the texts; guessed when left out.")
@click.option("--label-column", help="The column of the labels; guessed when left out.")
@click.option("--query", help="The SQL query that goes with a database address.")
@click.option(
    "--method", type=click.Choice(["auto", "zero_shot", "head", "full"]), default="auto",
    show_default=True,
)  # fmt: skip
@click.option("--encoder", help="A Hugging Face name or a folder. [the packaged MiniLM]")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="[auto]")
@click.option(
    "--set", "fields", multiple=True, metavar="NAME=VALUE",
    help="A field of the recipe, such as epochs=3 or learning_rate=1e-4. Repeatable.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of a broken training.")
@click.option("--promote", is_flag=True, help="Put it in use if the gate allows it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
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
    if (train_data is None) != (test_data is None):
        raise SettingsError("--train-data and --test-data go together")
    if data is not None and train_data is not None:
        raise SettingsError("give either --data, or --train-data and --test-data")
    settings = Settings()
    source = DataSource(
        train_data or data or SAMPLE_SOURCE, text_column, label_column, query, test_data
    )
    dataset = load_source(source, settings)
    rejected = count_rejects(dataset, settings)
    if rejected:
        say(rejected)

    from models.promotion import gate_and_promote
    from models.registry import ModelRegistry
    from models.text_training import train_text_classifier
    from shared.finetuning.progress import ConsoleProgress
    from shared.finetuning.recipe import make_recipe

    registry = ModelRegistry(settings.models)
    log_path = settings.home / "runs" / f"{APP}-training.jsonl"
    log_path.unlink(missing_ok=True)
    with ConsoleProgress(log_path) as report:
        trained = train_text_classifier(
            dataset,
            app=APP,
            recipe=make_recipe(method=method, seed=seed, **parse_fields(fields)),
            encoder=encoder or settings.encoder,
            registry=registry,
            now=datetime.now(UTC),
            report=report,
            source=source.for_card(),
            device=device or settings.device,
            resume=resume,
        )
    summary = dict(trained.summary)
    summary["promotion"] = {"promoted": False, "reason": "not asked for"}
    if promote or registry.in_use(APP) is None:
        try:
            promotion = gate_and_promote(
                registry, APP, trained.version, author=getpass.getuser(), now=datetime.now(UTC)
            )
            summary["promotion"] = {"promoted": True, "reason": promotion.reason}
        except PromotionRefused as error:
            summary["promotion"] = {"promoted": False, "reason": error.message}
    _print(summary, as_json)


@click.command()
@click.option("--data", required=True, help="A data set's name, a file, or a database address.")
@click.option("--version", "version", help="The version to measure. [the one in use]")
@click.option(
    "--split", type=click.Choice(["train", "validation", "gate", "test", "all"]), default="test",
    show_default=True,
)  # fmt: skip
@click.option("--text-column", help="The column of the texts; guessed when left out.")
@click.option("--label-column", help="The column of the labels; guessed when left out.")
@click.option("--query", help="The SQL query that goes with a database address.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
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
    import json
    import time

    from models.registry import ModelRegistry
    from models.text_classifier import TextPredictor
    from models.text_evaluation import evaluate_predictor
    from models.text_training import prepare_data
    from shared.finetuning.progress import ConsoleProgress

    started = time.monotonic()
    settings = Settings()
    dataset = load_source(DataSource(data, text_column, label_column, query), settings)
    rejected = count_rejects(dataset, settings)
    if rejected:
        say(rejected)
    registry = ModelRegistry(settings.models)
    chosen = registry.get(APP, version)
    registry.verify(chosen)
    same = chosen.card["data"]["name"] == dataset.name
    stored = json.loads((chosen.folder / "splits.json").read_text(encoding="utf-8"))
    splits = prepare_data(dataset, assigned=stored if same else None)
    examples = (
        [e for name in ("train", "validation", "gate", "test") for e in splits[name]]
        if split == "all"
        else splits[split]
    )
    seen = 0
    if not same:
        fresh = [example for example in examples if stored.get(example.key) in (None, "test")]
        seen, examples = len(examples) - len(fresh), fresh
    if not any(example.in_scope for example in examples):
        raise DataError(f"{dataset.name} has no labelled example left in split {split!r}")
    prepared = time.monotonic()
    predictor = TextPredictor.load(chosen)
    with ConsoleProgress() as report:
        evaluation = evaluate_predictor(predictor, examples, report=report)
    assert evaluation is not None
    unknown = {e.label for e in examples if e.in_scope} - set(predictor.labels)
    card = chosen.card
    summary: dict[str, Any] = {
        "app": APP,
        "version": chosen.name,
        "method": card["method"],
        "encoder": card["encoder"],
        "seed": card["seed"],
        "data": {
            "name": dataset.name,
            "split": split,
            **splits.counts(),
            "removed_duplicates": splits.removed_duplicates + splits.removed_conflicts,
            "left_out_as_trained_on": seen,
            "unknown_labels": sorted(unknown),
        },
        "seconds": {
            "prepare": round(prepared - started, 3),
            "train": 0.0,
            "evaluate": round(time.monotonic() - prepared, 3),
        },
        "metrics": evaluation.metrics,
    }
    if unknown:
        say(f"{len(unknown)} labels are unknown to {chosen.name}: their examples count as wrong")
    _print(summary, as_json)


def parse_fields(fields: tuple[str, ...]) -> dict[str, str | list[str]]:
    """``NAME=VALUE`` pairs as a mapping, ``A,B`` as a list; SettingsError for what is no pair."""
    pairs: dict[str, str | list[str]] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or not name:
            raise SettingsError(f"--set takes NAME=VALUE, not {field!r}")
        parts = [part.strip() for part in value.split(",")]
        pairs[name.strip().replace("-", "_")] = parts if len(parts) > 1 else parts[0]
    return pairs


def _print(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    from apps.support.commands.summary_table import print_summary

    print_summary(summary)
