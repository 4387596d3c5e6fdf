import re
from pathlib import Path

import pytest

from data_connectors.public_datasets import PUBLIC_DATASETS, load_public_dataset
from shared.errors import UnknownDataset

pytestmark = pytest.mark.unit


def test_the_names_are_those_that_the_documents_promise() -> None:
    assert set(PUBLIC_DATASETS) == {
        "banking77", "banking77-10shot", "banking77-5shot", "clinc150", "banking77-oos",
        "phrasebank-50", "phrasebank-66", "phrasebank-75", "phrasebank-all",
        "sentfin", "sentfin-headlines",
    }  # fmt: skip


def test_every_file_is_pinned() -> None:
    files = {file for dataset in PUBLIC_DATASETS.values() for file in dataset.files}
    assert len({file.path for file in files}) == len(files)
    assert len({file.sha256 for file in files}) == len(files)
    for file in files:
        assert re.fullmatch(
            r"https://(raw|media)\.githubusercontent\.com(/media)?/[\w-]+/[\w-]+/[0-9a-f]{40}/[\w./-]+",
            file.url,
        )
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0


def test_every_data_set_states_its_licence() -> None:
    for dataset in PUBLIC_DATASETS.values():
        assert dataset.licence
        assert dataset.described_in


def test_an_unknown_name_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownDataset, match=r"banking77-10shot.*clinc150"):
        load_public_dataset("banking", folder=None, cache=tmp_path)
