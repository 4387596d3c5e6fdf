"""Memory of processes as the benchmarks read it."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from benchmarks.serving_rows.resident import ResidentMemory, resident_bytes

pytestmark = pytest.mark.unit

MEGABYTE = 2**20


def test_growth_leaves_warm_up_out() -> None:
    memory = ResidentMemory(lambda: [])
    memory.close()
    sizes = [10, 40, *[100] * 4, *[104] * 4]
    memory.readings = [(float(at), size * MEGABYTE) for at, size in enumerate(sizes)]
    grown, before, after = memory.growth()
    assert (grown, before, after) == (pytest.approx(0.04), 100, 104)
    assert memory.most() == 104


def test_a_process_that_ends_is_read_until_then() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    memory = ResidentMemory(lambda: [process])
    deadline = time.monotonic() + 20
    while not memory.readings:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.communicate(b"\n")
    memory.close()
    assert resident_bytes(process) == 0
    assert 1 < memory.most() < 500
