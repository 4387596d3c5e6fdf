"""The options that ``triptych train`` and ``triptych evaluate`` have for every app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

import click

from shared.errors import SettingsError
from shared.finetuning.methods import METHODS

C = TypeVar("C", bound=Callable[..., Any])


def training_options(sample: str) -> Callable[[C], C]:
    """Data, method, encoder, seed, recipe, resume and promotion; ``sample`` is the default data."""
    return _together(
        *_data(sample),
        click.option(
            "--unlabelled",
            metavar="SOURCE",
            help="Texts without labels, for the methods that learn from them: a data set's name "
            "(its training texts), a table, or a .txt file with one text a line.",
        ),
        click.option(
            "--continue-from",
            metavar="VERSION",
            help="The version that goes on learning, 'in-use' for the one in use: its classes are "
            "kept, and their examples need not be given again.",
        ),
        click.option(
            "--method",
            type=click.Choice(["auto", *METHODS]),
            default="auto",
            show_default=True,
            help="How the encoder is adapted; docs/methods.md describes each.",
        ),
        click.option("--encoder", help="A Hugging Face name or a folder. [the packaged MiniLM]"),
        click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True),
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="[auto]"),
        click.option(
            "--budget",
            metavar="TIME",
            help="How long it may take, such as 90s, 5m or 2h: fewer epochs, or a faster method.",
        ),
        click.option(
            "--set",
            "fields",
            multiple=True,
            metavar="NAME=VALUE",
            help="A field of the recipe, such as epochs=3 or learning_rate=1e-4. Repeatable.",
        ),
        click.option(
            "--resume", is_flag=True, help="Go on from the checkpoint of a broken training."
        ),
        click.option("--promote", is_flag=True, help="Put it in use if the gate allows it."),
        _JSON,
    )


def evaluation_options() -> Callable[[C], C]:
    """Data, version, split and output of an evaluation."""
    return _together(
        click.option(
            "--data", required=True, help="A data set's name, a file, or a database address."
        ),
        click.option("--version", "version", help="The version to measure. [the one in use]"),
        click.option(
            "--split",
            type=click.Choice(["train", "validation", "gate", "test", "all"]),
            default="test",
            show_default=True,
        ),
        *_COLUMNS,
        click.option(
            "--robustness",
            is_flag=True,
            help="Measure under typing errors, capitals, polite prefixes and synonyms, too.",
        ),
        _JSON,
    )


def search_options(sample: str) -> Callable[[C], C]:
    """Data, methods, budget, encoder, seed, fixed fields, resume and output of a search."""
    return _together(
        *_data(sample),
        click.option(
            "--method",
            "methods",
            multiple=True,
            type=click.Choice(list(METHODS)),
            help="A method to try. Repeatable. [head, full, lora, augmented]",
        ),
        click.option(
            "--budget",
            default="10m",
            show_default=True,
            metavar="TIME",
            help="How long it searches, such as 90s, 10m or 2h.",
        ),
        click.option("--trials", type=click.IntRange(min=1), help="Recipes at most. [no limit]"),
        click.option("--encoder", help="A Hugging Face name or a folder. [the packaged MiniLM]"),
        click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True),
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="[auto]"),
        click.option(
            "--set",
            "fields",
            multiple=True,
            metavar="NAME=VALUE",
            help="A field of the recipe that shall not vary. Repeatable.",
        ),
        click.option("--resume", is_flag=True, help="Go on with the search that was broken off."),
        _JSON,
    )


_COLUMNS = (
    click.option("--text-column", help="The column of the texts; guessed when left out."),
    click.option("--label-column", help="The column of the labels; guessed when left out."),
    click.option("--query", help="The SQL query that goes with a database address."),
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def named_data(
    data: str | None, train_data: str | None, test_data: str | None, sample: str
) -> tuple[str, str | None]:
    """The source and, where there are two, the test source; SettingsError for a mix of both."""
    if (train_data is None) != (test_data is None):
        raise SettingsError("--train-data and --test-data go together")
    if data is not None and train_data is not None:
        raise SettingsError("give either --data, or --train-data and --test-data")
    return train_data or data or sample, test_data


def data_words(
    data: str,
    test: str | None,
    text_column: str | None,
    label_column: str | None,
    query: str | None,
    encoder: str | None,
    seed: int,
) -> list[str]:
    """The options that name data, encoder and seed, as one gives them to ``triptych train``."""
    named = (
        ("--data" if test is None else "--train-data", data),
        ("--test-data", test),
        ("--text-column", text_column),
        ("--label-column", label_column),
        ("--query", query),
        ("--encoder", encoder),
        ("--seed", str(seed)),
    )
    return [word for name, value in named if value is not None for word in (name, value)]


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


@overload
def budget_seconds(text: str) -> float: ...
@overload
def budget_seconds(text: str | None) -> float | None: ...
def budget_seconds(text: str | None) -> float | None:
    """The seconds of ``--budget``; None for none. SettingsError for what is no time."""
    from shared.finetuning.budget import parse_budget

    return None if text is None else parse_budget(text)


def _data(sample: str) -> tuple[Callable[[C], C], ...]:
    return (
        click.option(
            "--data", help=f"A data set's name, a file, or a database address. [{sample}]"
        ),
        click.option(
            "--train-data", help="Training data, where training and test data are two sources."
        ),
        click.option("--test-data", help="The test data that goes with --train-data."),
        *_COLUMNS,
    )


def _together(*options: Callable[[C], C]) -> Callable[[C], C]:
    def decorate(command: C) -> C:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
