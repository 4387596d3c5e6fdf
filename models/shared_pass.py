"""Callers who come while one computation runs share the next: what is read for one serves all.

    first caller  ── computes for itself
    those who come meanwhile ── wait; the first of them computes for all of them, in its own thread

Nobody waits for company, and there is no thread of its own. Work that runs side by side in one
thread (``shared.serving.interleaving``) asks together, all that is under way at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from shared.serving.interleaving import computed_together, is_interleaved

Asked = TypeVar("Asked")
Found = TypeVar("Found")


class _Place(Generic[Asked, Found]):
    """A caller's place in the queue. Its lock is free once it has an answer, or must compute."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.found: Found | None = None
        self.error: BaseException | None = None
        self.done = False
        self.turn = threading.Lock()
        self.turn.acquire()


class SharedPass(Generic[Asked, Found]):
    """``compute`` gives one result for each of what is asked, at most ``most`` at once.

    It runs in one thread at a time. What it raises is raised to all who shared it.
    """

    def __init__(self, compute: Callable[[list[Asked]], Iterable[Found]], *, most: int) -> None:
        self._compute = compute
        self._most = most
        self._guard = threading.Lock()
        self._computing = threading.Lock()
        self._queue: list[_Place[Asked, Found]] = []
        self._running = False

    def __call__(self, asked: Asked) -> Found:
        """The result for what this caller asks; blocks."""
        if is_interleaved():
            return computed_together(self._compute_all, asked)
        place: _Place[Asked, Found] = _Place(asked)
        with self._guard:
            self._queue.append(place)
            waits = self._running
            self._running = True
        if waits:
            place.turn.acquire()
        if not place.done:
            self._lead()
        if place.error is not None:
            raise place.error
        return place.found  # type: ignore[return-value]  # set, since it is done without an error

    def _compute_all(self, asked: list[Asked]) -> Iterator[Found]:
        """The results for all who ask side by side."""
        for start in range(0, len(asked), self._most):
            with self._computing:
                found = self._compute(asked[start : start + self._most])
            yield from found

    def _lead(self) -> None:
        """Compute for the first of the queue, this caller among them; then the next one leads."""
        with self._guard:
            together, self._queue = self._queue[: self._most], self._queue[self._most :]
        try:
            with self._computing:
                results = self._compute([place.asked for place in together])
            for place, found in zip(together, results, strict=True):
                place.found = found
        except BaseException as error:
            for place in together:
                place.error = error
        for place in together:
            place.done = True
        with self._guard:
            following = self._queue[:1]
            self._running = bool(following)
        for place in (*following, *together[1:]):  # the first of those together is this caller
            place.turn.release()
