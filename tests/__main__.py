"""``python -m tests [pytest's options]``: integration tests beside all others, in two processes.

Each half has a home of its own and one thread, so that two cores are enough. What the others print
comes at the end. Options that leave a half without a test are fine, as long as the other has some.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HALVES = {
    "integration": ("tests/integration",),
    "others": ("tests/unit", "tests/e2e", "tests/browser"),
}


def start(name: str, options: list[str], home: Path, log: Path | None) -> subprocess.Popen[bytes]:
    """One half; its output to ``log``, or here."""
    environment = {**os.environ, "TRIPTYCH_HOME": str(home)}
    environment.setdefault("OMP_NUM_THREADS", "1")
    command = [sys.executable, "-m", "pytest", *HALVES[name], *options]
    if log is None:
        return subprocess.Popen(command, env=environment)
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output)


def main(options: list[str]) -> int:
    """Run both halves; 0 when all tests passed and there were some."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "others.log"
        others = start("others", options, Path(folder) / "others", log)
        try:
            integration = start("integration", options, Path(folder) / "integration", None)
            statuses = {integration.wait(), others.wait()}
        finally:
            others.kill()
        print(f"\nthe other tests:\n{log.read_text(encoding='utf-8', errors='replace')}")
    if statuses == {pytest.ExitCode.NO_TESTS_COLLECTED}:
        return int(pytest.ExitCode.NO_TESTS_COLLECTED)
    return int(bool(statuses - {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
