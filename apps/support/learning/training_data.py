"""The data sets that the support desk knows by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from apps.support.conversation.knowledge import SAMPLE_SOURCE, SAMPLES
from data_connectors.data_source import DataSource
from data_connectors.data_source import load_source as load_any_source
from data_connectors.unlabelled import load_texts
from shared.command_line import say
from shared.records import Dataset
from shared.settings import Settings

SHIPPED: Mapping[str, Path] = {SAMPLE_SOURCE: SAMPLES / "utterances.csv"}
"""The data sets that come with this app, by the name that commands take."""


def load_source(source: DataSource, settings: Settings) -> Dataset:
    """The data set that ``source`` names, the shipped sample among them."""
    return load_any_source(source, settings, shipped=SHIPPED)


def load_unlabelled(
    source: str, settings: Settings, text_column: str | None = None
) -> tuple[str, ...]:
    """The texts that ``source`` names, whatever their labels; a line tells people how many."""
    found = load_texts(source, settings=settings, shipped=SHIPPED, text_column=text_column)
    say(found.notice())
    return found.texts
