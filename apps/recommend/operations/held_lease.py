"""A lease that is renewed in the background for as long as the work takes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from shared.storage.leases import Lease

log = logging.getLogger(__name__)


class HeldLease:
    """Says whether the lease is still held. ``monotonic`` counts what no clock setting moves."""

    def __init__(
        self, lease: Lease, clock: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self._lease = lease
        self._clock = clock
        self._monotonic = monotonic
        self._held_until: float | None = None

    @property
    def held(self) -> bool:
        """Whether nobody else can have taken it by now."""
        return self._held_until is not None and self._monotonic() < self._held_until

    def acquire(self) -> bool:
        """Take it if it is free; whether it was."""
        return self._held(self._lease.acquire)

    def renew(self) -> bool:
        """Hold it for another while; False where it was lost, for good."""
        return self._held(self._lease.renew)

    def _held(self, ask: Callable[[datetime], bool]) -> bool:
        asked = self._monotonic()
        got = ask(self._clock())
        self._held_until = asked + self._lease.seconds if got else None
        return got


@contextmanager
def holding(
    lease: Lease,
    *,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[HeldLease | None]:
    """Hold the lease for the length of the block, renewed thrice as often as it ends.

    Gives None where another holds it. A failed renewal (a busy database) is tried again.
    """
    mine = HeldLease(lease, clock, monotonic)
    if not mine.acquire():
        yield None
        return
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease.seconds / 3):
            try:
                if not mine.renew():
                    log.warning("lease %s was lost to another process", lease.name)
                    return
            except Exception:  # the lease ends by itself if this goes on
                log.exception("lease %s could not be renewed", lease.name)

    renewal = threading.Thread(target=renew, name=f"lease {lease.name}", daemon=True)
    renewal.start()
    try:
        yield mine
    finally:
        done.set()
        renewal.join()
        lease.release()
