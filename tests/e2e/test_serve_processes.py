"""``triptych serve --processes 2`` as an operator runs it: kills, and a stop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import psutil
import pytest

pytestmark = pytest.mark.e2e


def until(true: object, what: str, seconds: float = 60.0) -> None:
    """Wait until the function ``true`` says so."""
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


def workers(supervisor: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(supervisor.pid).children()
        if "apps.commands.api_worker" in child.cmdline()
    ]


def test_processes_share_a_port_are_replaced_and_end_together(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "apps.cli", "serve", "--port", "0", "--processes", "2"],
            env={**os.environ, "TRIPTYCH_HOME": str(tmp_path / "home")},
            stdout=subprocess.DEVNULL,
            stderr=output,
        ) as supervisor,
    ):
        try:
            until(lambda: "serving on" in log.read_text(), "it did not begin to serve")
            found = re.search(r"serving on (http://\S+) by 2 processes", log.read_text())
            assert found is not None, log.read_text()
            url = found.group(1)
            until(lambda: log.read_text().count("Application startup complete") == 2, "two start")
            first = workers(supervisor)
            assert len(first) == 2
            assert answers(url)

            first[0].send_signal(signal.SIGKILL)
            killed_at = time.monotonic()
            assert answers(url), "the other process does not answer"
            assert time.monotonic() - killed_at < 5
            until(
                lambda: (
                    log.read_text().count("Application startup complete") == 3
                    and len(workers(supervisor)) == 2
                ),
                "the dead process was not replaced",
            )
            assert {one.pid for one in workers(supervisor)} != {one.pid for one in first}

            left = workers(supervisor)
            supervisor.send_signal(signal.SIGTERM)
            assert supervisor.wait(timeout=30) == 0
            _, alive = psutil.wait_procs(left, timeout=1)
            assert not alive, "processes outlived their supervisor"
            assert not answers(url)
        finally:
            supervisor.kill()
    assert "Traceback" not in log.read_text()
