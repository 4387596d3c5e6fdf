from __future__ import annotations

from pathlib import Path

import pytest

from apps.support.learning.training_data import load_source
from data_connectors.data_source import DataSource
from shared.errors import UnknownDataset
from shared.settings import Settings

pytestmark = pytest.mark.unit


def test_the_shipped_sample_is_known_by_name(tmp_path: Path) -> None:
    dataset = load_source(DataSource("sample:support"), Settings(home=tmp_path))
    assert len(dataset.labels) >= 24


def test_an_unknown_name_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownDataset, match="sample:support"):
        load_source(DataSource("nothing"), Settings(home=tmp_path))
