"""A file server on loopback that can break off, ignore ranges and lie, and keeps what was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """``files`` by path; ``requests`` as (path, first byte asked for or None).

    ``breaks_after`` ends each answer after so many bytes, ``breaks`` times. ``statuses`` are
    answered first, in turn.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, int | None]] = field(default_factory=list)
    ranges: bool = True
    breaks: int = 0
    breaks_after: int = 0
    statuses: list[int] = field(default_factory=list)


@contextmanager
def file_server() -> Iterator[FileServer]:
    """A running FileServer, stopped at the end."""
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            state.requests.append((self.path, int(asked[1]) if asked else None))
            content = state.files.get(self.path)
            if state.statuses or content is None:
                self._answer(state.statuses.pop(0) if state.statuses else 404, b"")
                return
            start = int(asked[1]) if asked and state.ranges else 0
            if start >= len(content) and start:
                self._answer(416, b"")
                return
            self._answer(206 if asked and state.ranges else 200, content[start:], start)

        def _answer(self, status: int, body: bytes, start: int = 0) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 206:
                end = start + len(body)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
            self.end_headers()
            if state.breaks and body:
                state.breaks -= 1
                self.wfile.write(body[: state.breaks_after])
                self.wfile.flush()
                self.close_connection = True
                return
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
