"""Runs a piece of Python that uses Ray where nothing but loopback is: in a network namespace.

Ray asks which address the machine has in the world; in a namespace there is none but loopback, so
that no test talks to any other. A process namespace ends whatever a test leaves behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def needs_namespace() -> None:
    """Skip the test where no network namespace can be made."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([*command(), "true"], check=False).returncode:
        pytest.skip("unshare -n is not allowed here: Ray's tests need a network namespace")


def command() -> list[str]:
    """What goes before a command that shall run in namespaces of its own."""
    inside = 'ip link set lo up 2>/dev/null; exec "$@"'
    return ["unshare", "-n", "--pid", "--fork", "--mount-proc", "bash", "-c", inside, "bash"]


def run_inside(
    script: str, *words: str | Path, home: Path, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run Python code in the namespaces, with a time limit; its output is text."""
    environment = {
        **os.environ, "TRIPTYCH_HOME": str(home), "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "token",
        "GLOO_SOCKET_IFNAME": "lo", "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": "/tmp/ray-tests",
        "RAY_DEDUP_LOGS": "0", "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "120",
        # A machine that others use, too, may be slow to start a process.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
    }  # fmt: skip
    environment.pop("RAY_ADDRESS", None)
    given = [str(word) for word in words]
    return subprocess.run(
        [*command(), "timeout", "-k", "5", str(seconds), sys.executable, "-c", script, *given],
        capture_output=True, text=True, env=environment, check=False, timeout=seconds + 30,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
