"""``triptych serve`` as a user runs it, on a home that holds no model yet."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

pytestmark = pytest.mark.e2e


class Server:
    """A running ``triptych serve``: its address, and what it said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(self.process.stderr)

    def url(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(r"serving on (http://\S+)", "".join(self.lines)):
                return found.group(1)
            time.sleep(0.02)
        raise AssertionError("it did not begin to serve:\n" + "".join(self.lines))

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=30)
        self._reader.join(timeout=10)
        return status


@contextmanager
def serve(home: Path, *arguments: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "apps.cli", "serve", "--port", "0", *arguments]
    with subprocess.Popen(
        command,
        env={**os.environ, "TRIPTYCH_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def triptych(home: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "apps.cli", *arguments],
        env={**os.environ, "TRIPTYCH_HOME": str(home)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_a_home_without_a_model_is_served_and_says_what_to_do(tmp_path: Path) -> None:
    with serve(tmp_path / "home") as server:
        url = server.url()
        assert url.startswith("http://127.0.0.1:")
        with httpx2.Client(base_url=url, timeout=30) as client:
            assert client.get("/healthz").json()["status"] == "ok"
            answer = client.get("/readyz")
            while "loading" in answer.text:
                time.sleep(0.05)
                answer = client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["error"] == "not_ready"
            assert "triptych train support" in answer.json()["message"]
            asked = client.post("/v1/support/classify", json={"texts": ["where is it?"]})
            assert asked.status_code == 503
            assert "triptych train support" in asked.json()["message"]
            assert client.get("/v1/models").json() == {"versions": []}
        port = url.rsplit(":", 1)[1]
        second = subprocess.run(
            [sys.executable, "-m", "apps.cli", "serve", "--port", port],
            env={**os.environ, "TRIPTYCH_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 1
        assert second.stderr.startswith(f"error: port {port} on 127.0.0.1 is taken")
        assert server.end() in {0, -signal.SIGTERM}
    assert "Traceback" not in "".join(server.lines)


def test_once_there_is_a_key_it_is_asked_for(tmp_path: Path) -> None:
    key = triptych(tmp_path, "keys", "create", "--name", "shop").strip()
    with serve(tmp_path) as server:
        url = server.url()
        assert "callers need an API key" in "".join(server.lines)
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx2.get(f"{url}/v1/models", timeout=30).status_code == 401
        assert httpx2.get(f"{url}/v1/models", headers=headers, timeout=30).status_code == 200
        triptych(tmp_path, "keys", "revoke", key.split("_")[1])
        assert httpx2.get(f"{url}/v1/models", headers=headers, timeout=30).status_code == 401
        server.end()
    assert key not in "".join(server.lines)


def test_the_pages_start_and_end_with_their_command(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "apps.cli", "ui", "--port", str(port)],
        env={**os.environ, "TRIPTYCH_HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            health = f"http://127.0.0.1:{port}/_stcore/health"
            deadline = time.monotonic() + 60
            while not _answers(health):
                assert process.poll() is None
                assert time.monotonic() < deadline, "the pages did not start"
                time.sleep(0.1)
            process.terminate()
            assert process.wait(timeout=30) == 0
            deadline = time.monotonic() + 10
            while _answers(health):
                assert time.monotonic() < deadline, "the pages outlived their command"
                time.sleep(0.1)
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.TransportError:
        return False
