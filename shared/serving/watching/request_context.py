"""Which request the code at hand works for: its id follows it into the threads that it starts.

The id stands in a context variable (PEP 567). Coroutines and ``run_in_threadpool`` carry it on by
themselves; a thread that works for several requests, as the batcher's does, names them by
``working_for``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_REQUEST_ID: ContextVar[str | None] = ContextVar("triptych_request_id", default=None)

MOST_NAMED = 8
"""Requests of one batch that a line of the log names."""


def current_request_id() -> str | None:
    """The id of the request at hand (several of a batch: joined by commas), or None."""
    return _REQUEST_ID.get()


@contextmanager
def working_for(request_ids: Iterable[str | None]) -> Iterator[None]:
    """Within it lines of the log carry these ids; without any they carry none."""
    named = list(dict.fromkeys(one for one in request_ids if one))
    shown = ",".join(named[:MOST_NAMED]) + (",…" if len(named) > MOST_NAMED else "")
    token = _REQUEST_ID.set(shown or None)
    try:
        yield
    finally:
        _REQUEST_ID.reset(token)
