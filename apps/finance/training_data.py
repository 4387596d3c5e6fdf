"""Labelled headlines of any source as examples: labels by name, the company marked in the text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from apps.finance.records import SENTIMENTS
from apps.finance.targets import OPENING, mark, mark_name, unmark
from data_connectors.collecting import RejectsFile
from data_connectors.data_source import DataSource, rejects_path
from data_connectors.data_source import load_source as load_any_source
from data_connectors.unlabelled import load_texts
from shared.command_line import say
from shared.errors import EmptyData
from shared.records import Dataset, Example, Reject
from shared.settings import Settings

APP = "finance"
SAMPLE_SOURCE = "sample:finance"
SAMPLES = Path(__file__).parent / "samples"
SHIPPED: Mapping[str, Path] = {SAMPLE_SOURCE: SAMPLES / "headlines.csv"}
"""The data sets that come with this app, by the name that commands take."""

MEASURED_BY = ("agreement", "asked", "conflict")
"""Details by which an evaluation is broken down: annotators' agreement; whether the whole text or
one company was asked about; whether its headline is good for one company and not for another."""

DEFAULTS: Mapping[str, Any] = {"marked_spans": True, "consistency": 1.0, "freeze_at": ()}
"""Fields of the recipe in which this app differs, each measured on SEntFiN (docs/tried.md): a
marked company is pooled over its mark, two passes with dropout must agree, and no layer rests."""


def epochs_for(dataset: Dataset) -> int:
    """Epochs of the default training: 5, more of a small data set, at most 10."""
    return min(10, max(5, round(16_000 / len(dataset.examples))))


SPELLINGS: Mapping[str, str] = {
    "negative": "negative", "neg": "negative", "bearish": "negative", "bad": "negative",
    "neutral": "neutral", "neu": "neutral", "none": "neutral", "mixed": "neutral",
    "positive": "positive", "pos": "positive", "bullish": "positive", "good": "positive",
}  # fmt: skip
"""Names of the three labels that data sets use. Numbers are none: 0 means another class in each."""


def load_source(source: DataSource, settings: Settings) -> Dataset:
    """The data set that ``source`` names, ready to train on; ``entity`` is the marked company.

    All rejects, those of the connector and those of ``as_questions``, are in the rejects file.
    """
    keep = ("entity", "agreement")
    dataset = as_questions(load_any_source(source, settings, shipped=SHIPPED, keep=keep))
    with RejectsFile(rejects_path(settings)) as file:
        for reject in dataset.rejects:
            file.add(reject)
    return dataset


def load_unlabelled(
    source: str, settings: Settings, text_column: str | None = None
) -> tuple[str, ...]:
    """The texts that ``source`` names as questions about the whole of each; labels are ignored.

    A line tells people how many there are.
    """
    found = load_texts(source, settings=settings, shipped=SHIPPED, text_column=text_column)
    say(found.notice())
    return tuple(mark(text, ()) for text in found.texts)


def as_questions(dataset: Dataset) -> Dataset:
    """The examples as the model is asked them.

    An example with an ``entity`` has it marked in its text. All questions about one text are one
    group, which no split tears apart. A label of no known name, and an entity that does not stand
    in its text, make a reject. EmptyData when nothing is left.
    """
    toward: dict[str, set[str]] = defaultdict(set)
    for example in dataset.examples:
        if example.details.get("entity"):
            toward[example.group_key].add(_sentiment(example) or "")
    examples: list[Example] = []
    rejects = list(dataset.rejects)
    for number, example in enumerate(dataset.examples, start=1):
        asked = _question(example, in_conflict=len(toward[example.group_key]) > 1)
        if isinstance(asked, str):
            row = {"text": example.text, "label": example.label, **example.details}
            rejects.append(Reject(number, asked, row))
        else:
            examples.append(asked)
    if not examples:
        raise EmptyData(
            f"{dataset.name}: none of its {len(rejects)} rows can be used: {rejects[0].reason}",
            name=dataset.name,
        )
    return replace(dataset, examples=tuple(examples), rejects=tuple(rejects))


def with_corrections(dataset: Dataset, corrections: Dataset) -> Dataset:
    """The data set and what people corrected, which were asked as the model is and win over it.

    A correction belongs to the group of its headline: where that is held out, so is the correction.
    """
    corrected: dict[str, Example] = {}
    rejects = list(dataset.rejects)
    for number, example in enumerate(corrections.examples, start=1):
        label = _sentiment(example)
        if label is None:
            row = {"text": example.text, "label": example.label}
            rejects.append(Reject(number, f"the correction {example.label[:40]!r} is none", row))
            continue
        asked = "company" if OPENING in example.text else "whole"
        corrected[example.key] = Example(
            example.text,
            label,
            details=MappingProxyType({"asked": asked}),
            group=unmark(example.text),
        )
    kept = (example for example in dataset.examples if example.key not in corrected)
    return replace(dataset, examples=(*kept, *corrected.values()), rejects=tuple(rejects))


def _question(example: Example, *, in_conflict: bool) -> Example | str:
    """The example as a question, or the reason why it is none."""
    label = _sentiment(example)
    if label is None:
        return (
            f"the label {example.label[:40]!r} names no sentiment: write one of "
            f"{', '.join(SENTIMENTS)}"
        )
    entity = str(example.details.get("entity") or "").strip()
    details = {name: example.details[name] for name in ("agreement",) if name in example.details}
    if not entity:
        text, details["asked"] = mark(example.text, ()), "whole"
    else:
        marked = mark_name(example.text, entity)
        if marked is None:
            return f"the entity {entity[:40]!r} does not stand in the text"
        text, details["asked"] = marked, "company"
        details["conflict"] = "yes" if in_conflict else "no"
    group = example.group or example.text
    return replace(example, text=text, label=label, details=MappingProxyType(details), group=group)


def _sentiment(example: Example) -> str | None:
    return SPELLINGS.get(example.label.strip().casefold())
