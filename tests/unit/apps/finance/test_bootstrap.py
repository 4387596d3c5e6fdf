"""What importing the monitor's wiring costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit


def test_wiring_imports_nothing_heavy() -> None:
    code = (
        "import sys, apps.finance.bootstrap;"
        "print([name for name in ('torch', 'faiss', 'sklearn', 'transformers', 'captum',"
        " 'feedparser') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout
