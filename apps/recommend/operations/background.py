"""A refit that the API was asked for runs in a process of its own, so that lists stay fast.

One such process at a time serves all tenants' wishes and ends. That the wish stands in the database
means that none is lost: should the process die, or the API, the next to start goes on with it.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime

from apps.recommend.operations.refit_state import RefitLedger, next_step
from apps.recommend.serving.bundles import Refits
from shared.api.recommend_operations import RefitShape
from shared.settings import Settings

log = logging.getLogger(__name__)

PAUSE_SECONDS = 15.0
"""Between two processes, where one was killed or leaves a tenant to another that fits it."""

MOST_FAILURES = 3
"""Processes that end badly one after another before the next request is waited for. One that is
killed in mid-refit twice has the third say so in the tenant's state."""


class BackgroundRefits:
    """Keeps wishes in ``stored`` and sees to it that they are served.

    ``run`` refits what is wished for, blocks until that is done, and returns its exit status.
    """

    def __init__(
        self,
        stored: Refits,
        ledger: RefitLedger,
        run: Callable[[], int],
        *,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._stored = stored
        self._ledger = ledger
        self._run = run
        self._pause_seconds = pause_seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def request(self, tenant: str, author: str, now: datetime) -> None:
        """Wish for a refit of the tenant, and start the process that fits if none runs."""
        self._stored.request(tenant, author, now)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="refits", daemon=True)
                self._thread.start()

    def state(self, tenant: str) -> RefitShape:
        """How far the tenant's fit is."""
        return self._stored.state(tenant)

    def _serve(self) -> None:
        failures = 0
        try:
            while failures < MOST_FAILURES:
                status = self._run()
                failures = failures + 1 if status else 0
                if status:
                    log.error("the process that refits ended with status %d", status)
                with self._lock:  # a request either is seen here, or finds that it must start
                    if all(next_step(state) == "wait" for state in self._ledger.states()):
                        self._thread = None
                        return
                time.sleep(self._pause_seconds)
        except Exception:
            log.exception("the refits in the background ended; the next request starts them again")
        with self._lock:
            self._thread = None


def refit_process(settings: Settings) -> Callable[[], int]:
    """Runs ``triptych recommend refit --wished`` on the installation of these settings."""

    def run() -> int:
        chosen = {
            "TRIPTYCH_HOME": str(settings.home),
            "TRIPTYCH_DATABASE_URL": settings.database,
            **({"TRIPTYCH_ENCODER": settings.encoder} if settings.encoder else {}),
        }
        return subprocess.run(
            [sys.executable, "-m", "apps.cli", "recommend", "refit", "--wished"],
            env={**os.environ, **chosen},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        ).returncode

    return run
