"""Where the data of a version came from, so that it can be read again for the next training.

A version's card holds it under ``data.source``: the name or path alone, or an object with the
fields of ``DataSource``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.support.knowledge import SAMPLE_SOURCE, SAMPLES
from data_connectors.sources import load_dataset, load_train_test
from shared.errors import DataError
from shared.records import Dataset
from shared.settings import Settings

if TYPE_CHECKING:
    from models.registry import ModelVersion

SHIPPED: Mapping[str, Path] = {SAMPLE_SOURCE: SAMPLES / "utterances.csv"}
"""The data sets that come with this app, by the name that commands take."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """What reads a data set again: its name, path or address, and how to read it.

    ``test`` is the second source where training and test data came from two.
    """

    source: str
    text_column: str | None = None
    label_column: str | None = None
    query: str | None = None
    test: str | None = None


def source_of(version: ModelVersion | None) -> DataSource:
    """The source that a version's card names; DataError where there is no version or no source."""
    stored: Any = None if version is None else version.card.get("data", {}).get("source")
    if isinstance(stored, str) and stored:
        return DataSource(stored)
    if isinstance(stored, Mapping) and stored.get("source"):
        known = {field.name for field in fields(DataSource)}
        return DataSource(**{name: value for name, value in stored.items() if name in known})
    if version is None:
        raise DataError("no version is in use yet: name the data to train on with --data")
    raise DataError(
        f"the card of version {version.name} does not say where its data came from: name the data"
        " with --data",
        version=version.name,
    )


def load_source(source: DataSource, settings: Settings) -> Dataset:
    """The data set that ``source`` names; raises what the connectors raise."""
    if source.test is not None:
        return load_train_test(
            source.source,
            source.test,
            settings=settings,
            shipped=SHIPPED,
            text_column=source.text_column,
            label_column=source.label_column,
            query=source.query,
        )
    return load_dataset(
        source.source,
        settings=settings,
        shipped=SHIPPED,
        text_column=source.text_column,
        label_column=source.label_column,
        query=source.query,
    )
