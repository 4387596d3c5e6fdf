"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of public data sets; tests that need it are skipped where it is not."""
    folder = os.environ.get("TRIPTYCH_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TRIPTYCH_DATA does not point at a folder with the public data sets")
    return Path(folder)
