"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
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


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With TRIPTYCH_NO_SKIP a skipped test fails the run: CI has all that the tests need."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("TRIPTYCH_NO_SKIP") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _main_module_stays() -> Iterator[None]:
    """Streamlit's AppTest installs each page as `__main__`, which spawned processes run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True, scope="module")
def _what_was_made_before_is_not_collected_again() -> None:
    """Modules stay: each training collects all garbage, and went through a million objects of them
    every time, three quarters of what a training on tiny things takes."""
    gc.collect()
    gc.freeze()
