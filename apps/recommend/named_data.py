"""Data that has a name: public data sets, and the sample that Triptych ships."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from shared.catalogue import BehaviourData
from shared.settings import Settings

SAMPLE = "sample:recommend"
"""The shipped catalogue with generated behaviour."""


def is_named(source: str) -> bool:
    """Whether a source is the name of a data set, and no file or address."""
    from data_connectors.recommend_datasets import RECOMMEND_DATASETS

    return source == SAMPLE or source in RECOMMEND_DATASETS


def load_named(
    source: str, settings: Settings, now: datetime, *, progress: Callable[[str, int, int], None]
) -> BehaviourData:
    """The data set of that name; the sample's behaviour ends at ``now``.

    Raises UnknownDataset, ChecksumMismatch, and UnreadableFile where a file cannot be fetched.
    """
    if source == SAMPLE:
        from apps.recommend.samples.behaviour import sample

        return sample(now)
    from data_connectors.recommend_datasets import load_recommend_dataset

    return load_recommend_dataset(source, settings, progress=progress)
