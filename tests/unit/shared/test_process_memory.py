"""Freed memory goes back to the machine."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

HELD = """
from pathlib import Path
from shared.process_memory import give_back_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4

pieces = [bytearray(20_000) for _ in range(5_000)]
last = bytearray(20_000)  # the end of the heap stays taken
del pieces
before = resident()
give_back_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="only glibc is asked to give memory back",
)
def test_a_hundred_megabytes_in_pieces_go_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELD], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) > 50_000, done.stdout
