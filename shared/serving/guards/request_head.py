"""How long and how large the head of a request may be, which uvicorn bounds neither of.

A client that sends a header every few seconds, or headers without end, would hold a connection
and its memory for ever (CWE-400): the head must be there within ``HEAD_SECONDS`` of the connection
(or of its own first byte, on one that is kept alive) and within ``HEAD_BYTES``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 20.0
HEAD_BYTES = 65_536

_SLOW = (b"408 Request Timeout", b"the head of the request did not arrive in time")
_LARGE = (b"431 Request Header Fields Too Large", b"the head of the request is too large")


class BoundedHead(HttpToolsProtocol):
    """Uvicorn's protocol with bounds on the head; ``uvicorn.Config(http=...)`` takes the class."""

    head_seconds = HEAD_SECONDS
    head_bytes = HEAD_BYTES
    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected: the clock runs."""
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._end()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if not self._in_head:
            self._begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._end()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Count what comes before the end of the head."""
        self._size += len(data)
        super().data_received(data)
        if self._in_head and self._size > self.head_bytes and not self.transport.is_closing():
            self._refuse(*_LARGE)

    def _begin(self) -> None:
        self._in_head, self._size = True, 0
        loop: Any = asyncio.get_running_loop()
        self._timer = loop.call_later(self.head_seconds, self._refuse, *_SLOW)

    def _end(self) -> None:
        self._in_head, self._size = False, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes, told: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # nobody else is being answered
            self.transport.write(
                b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%b" % (status, len(told), told)
            )
        self.transport.close()
