"""A light client of many connections, a process of its own: closed loop, one request each.

    python -m benchmarks.serving_rows.load HOST PORT PATH CLIENTS SECONDS BODIES

BODIES is a file of JSON lines, sent in turn; one with a path of its own reads
``/path<tab>{...}``. The first quarter of the time warms up and does not count. One thread over
``select`` and sockets: it takes a small part of what an answer costs. Prints one JSON object:
answers a second, milliseconds (p50, p99), errors by kind.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

END = b"\r\n\r\n"


@dataclass
class _Client:
    """One connection: the request under way, since when, and what came of its answer."""

    socket: socket.socket
    began: float = 0.0
    received: bytes = b""

    def answer(self) -> tuple[int, bool] | None:
        """The status, and whether the connection stays; None while the answer is not complete."""
        head, end, body = self.received.partition(END)
        if not end:
            return None
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            return None
        return int(head[9:12]), b"connection: close" not in lowered


def ask(
    host: str, port: int, path: str, clients: int, seconds: float, bodies: list[bytes]
) -> dict[str, Any]:
    """Keep ``clients`` requests under way for ``seconds``."""
    requests = []
    for line in bodies:
        own, _, body = line.partition(b"\t") if line.startswith(b"/") else (b"", b"", line)
        requests.append(
            (
                f"POST {own.decode() or path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode()
            + body
        )
    selector = selectors.DefaultSelector()
    sent = 0

    def connect() -> _Client:
        client = _Client(socket.create_connection((host, port), timeout=30))
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client.socket, selectors.EVENT_READ, client)
        return client

    def send(client: _Client) -> None:
        nonlocal sent
        client.received = b""
        client.began = time.perf_counter()
        client.socket.sendall(requests[sent % len(requests)])
        sent += 1

    began = time.perf_counter()
    counted_from, end = began + seconds / 4, began + seconds
    spent: list[float] = []
    errors: Counter[str] = Counter()
    for _ in range(clients):
        send(connect())
    while (now := time.perf_counter()) < end:
        for key, _ in selector.select(1.0):
            client: _Client = key.data
            try:
                part = client.socket.recv(65_536)
            except OSError:
                part = b""
            client.received += part
            answer = client.answer() if part else (0, False)
            if answer is None:
                continue
            status, stays = answer
            now = time.perf_counter()
            if status == 200:
                if now >= counted_from:
                    spent.append(1_000 * (now - client.began))
            else:
                errors[str(status) if status else "connection"] += 1
            if not stays:
                selector.unregister(client.socket)
                client.socket.close()
                client = connect()
            send(client)
    seconds_counted = time.perf_counter() - counted_from
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    selector.close()
    found = np.percentile(spent, [50, 99]) if spent else (float("nan"),) * 2
    return {
        "rate": len(spent) / seconds_counted,
        "answers": len(spent),
        "p50": float(found[0]),
        "p99": float(found[1]),
        "errors": dict(errors),
    }


def load(
    url: str, path: str, bodies: Path, *, clients: int = 64, seconds: float = 12
) -> dict[str, Any]:
    """The same by a process of its own. ``url`` is http://HOST:PORT."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    command = [sys.executable, "-m", "benchmarks.serving_rows.load"]
    options = [host, port, path, str(clients), str(seconds), str(bodies)]
    output = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, Any] = json.loads(output)
    return found


if __name__ == "__main__":
    given = sys.argv[1:]
    lines = Path(given[5]).read_bytes().splitlines()
    print(json.dumps(ask(given[0], int(given[1]), given[2], int(given[3]), float(given[4]), lines)))
