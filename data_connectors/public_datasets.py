"""Named public data sets, from a folder that has them or from where they were published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import httpx2

from data_connectors.collecting import collect
from data_connectors.columns import Columns
from data_connectors.downloads import Progress, RemoteFile, locate_files, no_progress
from data_connectors.files import iterate_file
from data_connectors.finance_datasets import phrasebank, sentfin, sentfin_headlines
from data_connectors.published_files import (
    BANKING77_TEST,
    BANKING77_TRAIN,
    CLINC150,
    FAR,
    FIVE_SHOT,
    IN_SCOPE,
    NEAR,
    PHRASEBANK,
    SENTFIN,
    TEN_SHOT,
)
from data_connectors.rows import NOTHING_ELSE, Row, canonical_label, example_or_reason, reject
from shared.errors import UnknownDataset, UnreadableFile
from shared.records import OUT_OF_SCOPE, Dataset, Example, Reject, SplitName

Locate = Callable[[RemoteFile], Path]


@dataclass(frozen=True, slots=True)
class PublicDataset:
    """A public data set: its files, its licence, where it is described, and how to read it."""

    name: str
    summary: str
    licence: str
    described_in: str
    files: tuple[RemoteFile, ...]
    examples: Callable[[Locate], Iterator[Example | Reject]]


def load_public_dataset(
    name: str,
    *,
    folder: Path | None,
    cache: Path,
    progress: Progress = no_progress,
    client: httpx2.Client | None = None,
    rejects: Path | None = None,
    catalogue: Mapping[str, PublicDataset] | None = None,
) -> Dataset:
    """A public data set, its published splits kept.

    Its files are read in ``folder`` (laid out like ``TRIPTYCH_DATA``) when they are all there,
    else fetched into ``cache`` once. Either way their sha256 must be the published one.

    Raises UnknownDataset, ChecksumMismatch, and UnreadableFile when a file cannot be fetched.
    """
    catalogue = PUBLIC_DATASETS if catalogue is None else catalogue
    if name not in catalogue:
        known = ", ".join(sorted(catalogue))
        raise UnknownDataset(f"there is no public data set {name!r}; there are {known}", name=name)
    dataset = catalogue[name]
    paths = locate_files(
        dataset.files, folder=folder, cache=cache, progress=progress, client=client
    )
    outcomes = dataset.examples(paths.__getitem__)
    return collect(outcomes, name=name, rejects=rejects)


def _banking77(locate: Locate, file: RemoteFile, split: SplitName) -> Iterator[Example | Reject]:
    for outcome in iterate_file(locate(file), text_column="text", label_column="category"):
        yield replace(outcome, split=split) if isinstance(outcome, Example) else outcome


def _banking77_full(locate: Locate) -> Iterator[Example | Reject]:
    yield from _banking77(locate, BANKING77_TRAIN, "train")
    yield from _banking77(locate, BANKING77_TEST, "test")


def _lines(path: Path) -> list[str]:
    """Lines ended by a line feed and by nothing else: texts may hold other separators."""
    return path.read_text(encoding="utf-8").rstrip("\n").split("\n")


def _pairs(locate: Locate, files: tuple[RemoteFile, RemoteFile]) -> Iterator[tuple[str, str]]:
    texts, labels = _lines(locate(files[0])), _lines(locate(files[1]))
    if len(texts) != len(labels):
        raise UnreadableFile(
            f"{files[0].path} has {len(texts)} lines and {files[1].path} has {len(labels)}"
        )
    yield from zip(texts, labels, strict=True)


def _read_pairs(
    locate: Locate, files: tuple[RemoteFile, RemoteFile], split: SplitName
) -> Iterator[Example | Reject]:
    columns = Columns("text", "label")
    for number, (text, label) in enumerate(_pairs(locate, files), start=1):
        row = Row(number, {"text": text, "label": label, "file": files[0].path})
        outcome = example_or_reason(row.values, columns)
        if isinstance(outcome, str):
            yield reject(row, outcome)
        else:
            yield replace(outcome, split=split)


def _few_shot(
    draw: tuple[RemoteFile, RemoteFile],
) -> Callable[[Locate], Iterator[Example | Reject]]:
    def examples(locate: Locate) -> Iterator[Example | Reject]:
        yield from _read_pairs(locate, draw, "train")
        yield from _banking77(locate, BANKING77_TEST, "test")

    return examples


def _clinc150(locate: Locate) -> Iterator[Example | Reject]:
    rows = json.loads(locate(CLINC150).read_text(encoding="utf-8"))
    published: tuple[tuple[str, SplitName], ...] = (
        ("train", "train"), ("oos_train", "train"),
        ("val", "validation"), ("oos_val", "validation"),
        ("test", "test"), ("oos_test", "test"),
    )  # fmt: skip
    for key, split in published:
        for text, label in rows[key]:
            yield Example(text.strip(), canonical_label(label), split, NOTHING_ELSE)


def _banking77_oos(locate: Locate) -> Iterator[Example | Reject]:
    """In-scope rows, then near and far ones of validation and test.

    The near training rows stay out: the published protocol (arXiv:2106.04564) trains on the 50
    intents alone, and the held-out intents must be new to the model. Where Banking77 has a line
    break inside a text, the published files have a blank line with a label: those are rejects.
    """
    splits: tuple[SplitName, ...] = ("train", "validation", "test")
    for split in splits:
        yield from _read_pairs(locate, IN_SCOPE[split], split)
    for split in splits[1:]:
        for near in _read_pairs(locate, NEAR[split], split):
            if isinstance(near, Reject):
                yield near
                continue
            details = MappingProxyType({"kind": "near", "intent": near.label})
            yield replace(near, label=OUT_OF_SCOPE, details=details)
        for text in _lines(locate(FAR[split])):
            yield Example(text.strip(), OUT_OF_SCOPE, split, MappingProxyType({"kind": "far"}))


_OOS_FILES = (
    *(file for pair in IN_SCOPE.values() for file in pair),
    *(file for pair in NEAR.values() for file in pair),
    *FAR.values(),
)

PUBLIC_DATASETS: Mapping[str, PublicDataset] = MappingProxyType(
    {
        dataset.name: dataset
        for dataset in (
            PublicDataset(
                "banking77",
                "77 intents of a bank's customers",
                "CC BY 4.0",
                "Casanueva et al. 2020, arXiv:2003.04807",
                (BANKING77_TRAIN, BANKING77_TEST),
                _banking77_full,
            ),
            PublicDataset(
                "banking77-10shot",
                "the published draw of 10 training texts an intent, and the whole test split",
                "CC BY 4.0",
                "Mehri et al. 2020, arXiv:2009.13570",
                (*TEN_SHOT, BANKING77_TEST),
                _few_shot(TEN_SHOT),
            ),
            PublicDataset(
                "banking77-5shot",
                "the published draw of 5 training texts an intent, and the whole test split",
                "CC BY 4.0",
                "Zhang et al. 2020, arXiv:2010.13009",
                (*FIVE_SHOT, BANKING77_TEST),
                _few_shot(FIVE_SHOT),
            ),
            PublicDataset(
                "clinc150",
                "150 intents of ten domains, and out-of-scope texts",
                "CC BY 3.0",
                "Larson et al. 2019, aclanthology.org/D19-1131",
                (CLINC150,),
                _clinc150,
            ),
            PublicDataset(
                "banking77-oos",
                "50 intents of Banking77, with near and far out-of-scope texts",
                "CC BY 4.0 (far texts, from CLINC150: CC BY 3.0)",
                "Zhang et al. 2021, arXiv:2106.04564",
                _OOS_FILES,
                _banking77_oos,
            ),
            *(
                PublicDataset(
                    f"phrasebank-{level}",
                    f"sentences of financial news in three sentiments, {agreed}",
                    "CC BY-NC-SA 3.0, non-commercial",
                    "Malo et al. 2014, arXiv:1307.5336",
                    tuple(PHRASEBANK.values()),
                    phrasebank(level),
                )
                for level, agreed in (
                    ("50", "half of the annotators agree or more"),
                    ("66", "two thirds agree or more"),
                    ("75", "three quarters agree or more"),
                    ("all", "all agree"),
                )
            ),
            PublicDataset(
                "sentfin",
                "headlines with a sentiment toward each company or market that they name",
                "not verified; taken for non-commercial",
                "Sinha et al. 2022, doi:10.1002/asi.24634",
                (SENTFIN,),
                sentfin,
            ),
            PublicDataset(
                "sentfin-headlines",
                "SEntFiN's headlines whose entities all have one sentiment",
                "not verified; taken for non-commercial",
                "Sinha et al. 2022, doi:10.1002/asi.24634",
                (SENTFIN,),
                sentfin_headlines,
            ),
        )
    }
)
