"""One word for any source: a public name, a shipped sample, a file, or a database and a query."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from shared.errors import SettingsError, UnknownDataset, UnreadableFile
from shared.records import Dataset, Example, SplitName
from shared.settings import Settings

if TYPE_CHECKING:
    from data_connectors.downloads import Progress

NOTHING_SHIPPED: Mapping[str, Path] = MappingProxyType({})


def load_dataset(
    source: str,
    *,
    settings: Settings,
    shipped: Mapping[str, Path] = NOTHING_SHIPPED,
    text_column: str | None = None,
    label_column: str | None = None,
    query: str | None = None,
    keep: Sequence[str] = (),
    rejects: Path | None = None,
    single_class_ok: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """The data set that ``source`` names.

    In this order: a public data set (``banking77``), a sample that ships with an app
    (``sample:support``, its file in ``shipped``), an SQLAlchemy address with ``query``, or a
    file. A file called like a public data set is reached as ``./banking77``. Columns in ``keep``
    go along in the details where the source has them. Downloads go to
    ``settings.home / "datasets"``, their progress to standard error unless ``progress`` is given.

    Raises UnknownDataset with the names there are, and what the connectors raise.
    """
    from data_connectors.downloads import ProgressLine
    from data_connectors.public_datasets import PUBLIC_DATASETS, load_public_dataset

    if source in PUBLIC_DATASETS:
        return load_public_dataset(
            source,
            folder=settings.data,
            cache=settings.home / "datasets",
            progress=progress or ProgressLine(sys.stderr),
            rejects=rejects,
        )
    if "://" in source:
        if not query:
            raise SettingsError("a database needs a query that selects the texts and labels")
        from data_connectors.database import read_query

        return read_query(
            source, query, text_column=text_column, label_column=label_column,
            keep=keep, rejects=rejects, single_class_ok=single_class_ok,
        )  # fmt: skip
    if query:
        raise SettingsError(f"a query goes with a database address; {source!r} is none")
    path = shipped.get(source, Path(source))
    if source not in shipped and not path.exists():
        raise not_there(source, [*sorted(shipped), *sorted(PUBLIC_DATASETS)])
    from data_connectors.files import read_file

    return read_file(
        path, text_column=text_column, label_column=label_column, keep=keep, rejects=rejects,
        name=source if source in shipped else None, single_class_ok=single_class_ok,
    )  # fmt: skip


def not_there(source: str, names: list[str]) -> UnknownDataset | UnreadableFile:
    """A missing file for what looks like a path, an unknown name for what looks like a name."""
    path = Path(source)
    if path.name != source or path.suffix:
        return UnreadableFile(f"{source}: there is no such file", path=source)
    close = difflib.get_close_matches(source, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return UnknownDataset(
        f"there is no data set or file {source!r}.{hint} Data sets: {', '.join(names)}",
        name=source, names=names,
    )  # fmt: skip


def load_train_test(
    train: str,
    test: str,
    *,
    settings: Settings,
    shipped: Mapping[str, Path] = NOTHING_SHIPPED,
    text_column: str | None = None,
    label_column: str | None = None,
    query: str | None = None,
    keep: Sequence[str] = (),
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """One data set from two sources, every example with its split.

    Of ``train`` all is training data, but for what it marks as validation or gate; what it
    marks as test is left out. Of ``test`` the rows marked as test are taken, or all when none
    is. Rejects of ``test`` go beside ``rejects``, to ``<stem>-test<suffix>``. The test source
    may hold one class only.
    """

    def load(source: str, rejects: Path | None, single_class_ok: bool) -> Dataset:
        return load_dataset(
            source, settings=settings, shipped=shipped, text_column=text_column,
            label_column=label_column, keep=keep, query=query if "://" in source else None,
            rejects=rejects, single_class_ok=single_class_ok, progress=progress,
        )  # fmt: skip

    beside = rejects and rejects.with_name(f"{rejects.stem}-test{rejects.suffix}")
    training, testing = load(train, rejects, False), load(test, beside, True)
    marked = [example for example in testing.examples if example.split == "test"]
    return Dataset(
        f"{training.name} + {testing.name}",
        (
            *(_in(e, e.split or "train") for e in training.examples if e.split != "test"),
            *(_in(e, "test") for e in marked or testing.examples),
        ),
        training.rejects + testing.rejects,
        {**testing.descriptions, **training.descriptions},
    )


def _in(example: Example, split: SplitName) -> Example:
    return example if example.split == split else replace(example, split=split)
