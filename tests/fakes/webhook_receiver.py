"""A receiver of webhooks on loopback that keeps what it got, and can be slow or unwilling."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class ReceivedEvent:
    """One request, as it came."""

    path: str
    event_id: str
    key: str
    signature: str
    body: bytes


@dataclass
class WebhookReceiver:
    """``received`` in order. ``answers`` are given first, in turn, as (status, headers); then
    204. ``seconds`` pass before each answer."""

    url: str = ""
    received: list[ReceivedEvent] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def event_ids(self) -> list[str]:
        return [event.event_id for event in self.received]


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """A running WebhookReceiver, stopped at the end."""
    state = WebhookReceiver()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names = ("Triptych-Event-Id", "Idempotency-Key", "Triptych-Signature")
            told = [self.headers.get(name, "") for name in names]
            state.received.append(ReceivedEvent(self.path, *told, body))
            time.sleep(state.seconds)
            status, headers = state.answers.pop(0) if state.answers else (204, {})
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # who asked is gone

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
