"""Where the data of a version came from, so that it can be read again for the next training.

A version's card holds it under ``data.source``: the name or path alone, or an object with the
fields of ``DataSource``. The password of a database's address is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from data_connectors.sources import NOTHING_SHIPPED, load_dataset, load_train_test
from shared.command_line import say
from shared.errors import DataError
from shared.records import Dataset
from shared.settings import Settings

SAMPLE = "sample:"
"""How the names of shipped samples begin: such a name is never a path."""


class Described(Protocol):
    """A version with its card: ``models.registry.ModelVersion`` is one."""

    @property
    def name(self) -> str:
        """The name of the version."""
        ...

    @property
    def card(self) -> Mapping[str, Any]:
        """What its training wrote down."""
        ...


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

    def for_card(self) -> str | dict[str, str]:
        """What a card keeps: paths in full, so that they hold in any folder, and no password."""
        kept = {name: value for name, value in asdict(self).items() if value is not None}
        for name in {"source", "test"} & set(kept):
            kept[name] = _lasting(kept[name])
        return kept["source"] if len(kept) == 1 else kept


def source_of(version: Described | None) -> DataSource:
    """The source that a version's card names; DataError where there is no version or no source."""
    if version is None:
        raise DataError("no version is in use yet: name the data to train on with --data")
    stored: Any = version.card.get("data", {}).get("source")
    given = {"source": stored} if isinstance(stored, str) else dict(stored or {})
    known = {field.name for field in fields(DataSource)}
    kept = {name: value for name, value in given.items() if name in known}
    if not kept.get("source"):
        raise DataError(
            f"the card of version {version.name} does not say where its data came from: name the"
            " data with --data",
            version=version.name,
        )
    if ":***@" in kept["source"]:
        raise DataError(
            f"version {version.name} learned from {kept['source']}, and passwords are not kept:"
            " name the data with --data",
            version=version.name,
        )
    return DataSource(**kept)


def load_source(
    source: DataSource,
    settings: Settings,
    *,
    shipped: Mapping[str, Path] = NOTHING_SHIPPED,
    keep: Sequence[str] = (),
) -> Dataset:
    """The data set that ``source`` names; raises what the connectors raise.

    ``shipped`` are an app's samples by name; columns in ``keep`` go along in the details. Rows
    that had to be rejected go to ``runs/rejects.jsonl`` below the home, with line number and
    reason; the file is there only when there are some.
    """
    if source.test is not None:
        return load_train_test(
            source.source,
            source.test,
            settings=settings,
            shipped=shipped,
            text_column=source.text_column,
            label_column=source.label_column,
            query=source.query,
            keep=keep,
            rejects=rejects_path(settings),
        )
    return load_dataset(
        source.source,
        settings=settings,
        shipped=shipped,
        text_column=source.text_column,
        label_column=source.label_column,
        query=source.query,
        keep=keep,
        rejects=rejects_path(settings),
    )


def rejects_path(settings: Settings) -> Path:
    """Where rejected rows of the last data set that was read are kept."""
    return settings.home / "runs" / "rejects.jsonl"


def count_rejects(dataset: Dataset, settings: Settings) -> str | None:
    """A line for people on the rows that were rejected; None when none was."""
    if not dataset.rejects:
        return None
    first = dataset.rejects[0]
    counts = f"{len(dataset.examples):,} rows read, {len(dataset.rejects):,} rejected"
    where = f"(line {first.line}: {first.reason}); all of them: {rejects_path(settings)}"
    return f"{counts} {where}"


def announced(dataset: Dataset, settings: Settings) -> Dataset:
    """The data set, its rejects counted on standard error where there are some."""
    rejected = count_rejects(dataset, settings)
    if rejected:
        say(rejected)
    return dataset


def _lasting(source: str) -> str:
    if "://" in source:
        from sqlalchemy.engine import make_url

        return make_url(source).render_as_string(hide_password=True)
    path = Path(source)
    return str(path.resolve()) if not source.startswith(SAMPLE) and path.is_file() else source
