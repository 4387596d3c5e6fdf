"""The record of the slow tests, made by a small run of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

pytestmark = pytest.mark.soak

def test_holds():
    pass

def test_fails():
    assert 1 | 2 == 4, "a kill lost a write"

def test_needs_more():
    pytest.skip("no second machine here")

@pytest.fixture
def broken():
    yield
    raise RuntimeError("a process stayed behind")

def test_ends_badly(broken):
    pass
"""


def run(folder: Path, *options: str) -> dict[str, Any]:
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = soak: slow\ntestpaths = .\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.soak_results", "-m", "soak"]
    environment = {**os.environ, "TRIPTYCH_SOAK_RESULTS": str(folder / "kept")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(
        [*command, *options], cwd=folder, env=environment, check=False, capture_output=True
    )
    found: dict[str, Any] = json.loads((folder / "kept" / "soak.json").read_text())
    return found


def test_each_outcome_is_kept_with_its_reason_date_and_command(tmp_path: Path) -> None:
    (tmp_path / "test_slow.py").write_text(TESTS)
    first = run(tmp_path)
    assert {
        name.split("::")[1]: (one["outcome"], one["reason"]) for name, one in first.items()
    } == {
        "test_holds": ("passed", ""),
        "test_fails": ("failed", "AssertionError: a kill lost a write assert (1 | 2) == 4"),
        "test_needs_more": ("skipped", "no second machine here"),
        "test_ends_badly": ("failed", "RuntimeError: a process stayed behind"),
    }
    one = first["test_slow.py::test_holds"]
    assert one["command"] == "python -m pytest -q -p tests.soak_results -m soak"
    assert one["machine"]["cores"] == os.cpu_count()
    assert len(one["revision"]) >= 7
    table = (tmp_path / "kept" / "soak.md").read_text()
    assert "1 passed, 2 failed, 1 skipped" in table
    assert "| needs more" not in table  # a test's whole name, not a part of it
    assert "test needs more (`test_slow.py`) | **skipped**: no second machine here |" in table
    assert "(1 \\| 2) == 4" in table

    # A part that is run again takes the place of its own lines; the others stay.
    (tmp_path / "test_slow.py").write_text(TESTS.replace("== 4", "== 3"))
    again = run(tmp_path, "-k", "fails")
    assert again["test_slow.py::test_fails"]["outcome"] == "passed"
    assert again["test_slow.py::test_fails"]["command"].endswith("-k fails")
    assert again["test_slow.py::test_holds"] == one
    assert "\n2. `python -m pytest" in (tmp_path / "kept" / "soak.md").read_text()

    # A run of all forgets the tests that are no more.
    (tmp_path / "test_slow.py").write_text(TESTS.replace("def test_holds", "def test_stands"))
    last = run(tmp_path)
    assert "test_slow.py::test_holds" not in last
    assert last["test_slow.py::test_stands"]["outcome"] == "passed"
