"""The drift check by itself, once over all API processes: whoever holds the lease runs it.

The check runs in a process of its own and ends: it loads a version and scikit-learn, which the
process that answers requests shall not.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.monitoring.drift_alerts import next_check
from shared.settings import Settings
from shared.storage.leases import Lease

LOGGER = logging.getLogger(__name__)

LEASE = "monitoring.drift"
CHECK_SECONDS = 600.0
"""A check that takes longer is ended."""
LOOK_SECONDS = 60.0


class DriftSchedule:
    """A thread that looks whether a check is due, and has it run where no other process has.

    ``run`` blocks until the check is done and returns its exit status.
    """

    def __init__(
        self,
        engine: Engine,
        every: timedelta,
        run: Callable[[], int],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        look_seconds: float = LOOK_SECONDS,
        holder: str | None = None,
    ) -> None:
        self._engine = engine
        self._every = every
        self._run = run
        self._clock = clock
        self._look_seconds = look_seconds
        named = holder or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"[:120]
        self._lease = Lease(engine, LEASE, named, CHECK_SECONDS + 60)
        self._tried_at: datetime | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look from now on."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name="drift", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; a check that runs goes on by itself and is not waited for."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
            self._thread = None

    def look(self) -> bool:
        """Run the check if it is due and no other process runs it; whether it ran.

        A check that failed is tried again after a quarter of the time between two.
        """
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < self._every / 4:
            return False
        if not self._due(now) or not self._lease.acquire(now):
            return False
        try:
            if not self._due(self._clock()):  # another has done it between the two questions
                return False
            self._tried_at = now
            status = self._run()
            if status:
                LOGGER.warning("the drift check ended with status %d", status)
        finally:
            self._lease.release()
        return True

    def _due(self, now: datetime) -> bool:
        moment = next_check(self._engine, self._every)
        return moment is not None and moment <= now

    def _work(self) -> None:
        while not self._stopping.wait(self._look_seconds):
            try:
                self.look()
            except SQLAlchemyError:
                LOGGER.exception("whether a drift check is due could not be read")
            except Exception:
                LOGGER.exception("the drift check could not be run")


def drift_process(settings: Settings) -> Callable[[], int]:
    """Runs ``triptych drift check`` on this installation, on one thread."""

    def run() -> int:
        environment = {
            **os.environ,
            "TRIPTYCH_HOME": str(settings.home),
            "OMP_NUM_THREADS": "1",
        }
        if settings.database_url is not None:
            environment["TRIPTYCH_DATABASE_URL"] = settings.database_url
        command = [sys.executable, "-m", "apps.cli", "drift", "check", "--json"]
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                timeout=CHECK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 124
        return done.returncode

    return run
