"""How often a key may ask, and how often an address may guess at keys.

Counted by ``limits`` with a sliding window of two fixed ones (an estimate that needs two numbers a
key, whatever the rate), in the memory of each process: with n API processes behind a balancer a
key may ask up to n times as often.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from shared.errors import SettingsError, TooManyRequests

GUESSES = "30/minute"
"""Wrong keys that one address may send."""

_REMEMBERED = 4_096
"""Keys that were right, of whom a process remembers digests."""


def check_rate(text: str) -> RateLimitItem:
    """A rate such as ``600/minute`` or ``10 per 2 seconds``. Raises SettingsError for another."""
    try:
        rate = parse(text)
    except ValueError:
        rate = None
    if rate is None or rate.amount < 1 or rate.multiples < 1 or len(text) > 40:
        raise SettingsError(
            f"{text[:40]!r} is no rate: write 600/minute, 20/second or 100000/day", rate=text[:40]
        )
    return rate


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to a caller. ``reset_seconds``: until the present window ends."""

    limit: int
    window_seconds: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """As the RateLimit fields of draft-ietf-httpapi-ratelimit-headers, version 3 to 6."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
            "RateLimit-Policy": f"{self.limit};w={self.window_seconds}",
        }


class RateLimits:
    """Counts requests of keys; ``default`` holds for keys without a rate of their own, None: any.

    ``guesses`` is how many wrong keys an address may send. Safe to share between threads. Raises
    SettingsError for a rate that is none.
    """

    def __init__(self, default: str | None = None, *, guesses: str = GUESSES) -> None:
        self._default = None if default is None else check_rate(default)
        self._guesses = check_rate(guesses)
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._rates: dict[str, RateLimitItem] = {}
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def spend(self, key_id: str, rate: str | None) -> Allowance | None:
        """Count one request of a key; what is left, or None where nothing limits it.

        Raises TooManyRequests, with ``retry_after_seconds`` and ``headers``.
        """
        item = self._default if rate is None else self._rate(rate)
        if item is None:
            return None
        allowed = self._counter.hit(item, "key", key_id)
        allowance = self._allowance(item, "key", key_id)
        if not allowed:
            raise TooManyRequests(
                f"this key may ask {item.amount:,} times in {item.get_expiry():,} s: try again in"
                f" {allowance.reset_seconds:,} s",
                retry_after_seconds=allowance.reset_seconds,
                headers=allowance.headers(),
            )
        return allowance

    def may_try(self, address: str, key: str) -> None:
        """Raises TooManyRequests where an address has sent too many wrong keys.

        A key that was right before is let through: who guesses cannot shut out others who come
        from the same address, behind one proxy for instance.
        """
        if self._counter.test(self._guesses, "guess", address):
            return
        with self._lock:
            if _fingerprint(key) in self._right:
                return
        wait = self._allowance(self._guesses, "guess", address).reset_seconds
        raise TooManyRequests(
            f"too many wrong API keys came from here: try again in {wait} s",
            retry_after_seconds=wait,
        )

    def tried(self, address: str, key: str, *, right: bool) -> None:
        """Note whether a key was right."""
        if not right:
            self._counter.hit(self._guesses, "guess", address)
            return
        fingerprint = _fingerprint(key)
        with self._lock:
            self._right[fingerprint] = None
            self._right.move_to_end(fingerprint)
            while len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)

    def _rate(self, text: str) -> RateLimitItem:
        item = self._rates.get(text)
        if item is None:
            item = self._rates[text] = check_rate(text)
        return item

    def _allowance(self, item: RateLimitItem, *names: str) -> Allowance:
        reset, remaining = self._counter.get_window_stats(item, *names)
        seconds = min(max(1, math.ceil(reset - time.time())), item.get_expiry())
        return Allowance(item.amount, item.get_expiry(), max(0, remaining), seconds)


def _fingerprint(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
