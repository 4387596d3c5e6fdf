"""A feed server on loopback that behaves badly on purpose, each path in its own way.

Sound answers are under /feed (conditional, with validators), /gzip, /deflate, /br. Everything
else is named after what is wrong with it. ``requests`` keeps what was asked.
"""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import brotli

FEED = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel><title>Quay News</title>
<item><guid isPermaLink="false">q1</guid><title>Möwe Reederei lifts its outlook</title></item>
<item><guid isPermaLink="false">q2</guid><title>Quay cranes stand still</title></item>
</channel></rss>""".encode()
ETAG = 'W/"caf\u00e9;--gzip"'
LAST_MODIFIED = "Sun, 01 Mar 2026 10:00:00 GMT"


@dataclass
class MisbehavingServer:
    """``url`` without a slash at its end; ``requests`` as (path, headers in lower case)."""

    url: str = ""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        """Host and port, as an entry of the allowed addresses."""
        return self.url.removeprefix("http://")

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in turn."""
        return [path for path, _ in self.requests]


@contextmanager
def misbehaving_server() -> Iterator[MisbehavingServer]:
    """A running MisbehavingServer, stopped at the end."""
    state = MisbehavingServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(state: MisbehavingServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = {name.lower(): value for name, value in self.headers.items()}
            state.requests.append((self.path, asked))
            self.close_connection = True
            way, _, rest = self.path[1:].partition("/")
            with suppress(BrokenPipeError, ConnectionResetError):
                getattr(self, f"way_{way.replace('-', '_')}")(unquote(rest))

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.start(status, Content_Length=str(len(body)), **headers)
            self.wfile.write(body)

        def start(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.flush()

        def drip(self, data: bytes) -> None:
            for byte in data:
                if state.stopping.wait(0.05):
                    return
                self.wfile.write(bytes([byte]))
                self.wfile.flush()

        def for_ever(self, chunk: bytes) -> None:
            while not state.stopping.is_set():
                self.wfile.write(chunk)

        def way_feed(self, _: str) -> None:
            known = {"ETag": ETAG, "Last_Modified": LAST_MODIFIED, "Cache_Control": "max-age=300"}
            if self.headers.get("If-None-Match") == ETAG:
                self.answer(304, **known)
            else:
                self.answer(200, FEED, Content_Type="application/rss+xml", **known)

        def way_gzip(self, _: str) -> None:
            self.answer(200, gzip.compress(FEED), Content_Encoding="gzip")

        def way_deflate(self, _: str) -> None:
            self.answer(200, zlib.compress(FEED), Content_Encoding="deflate")

        def way_br(self, _: str) -> None:
            self.answer(200, brotli.compress(FEED), Content_Encoding="br")

        def way_slow_head(self, _: str) -> None:
            self.drip(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 100_000)

        def way_slow_body(self, _: str) -> None:
            self.start(200, Content_Length="100000")
            self.drip(FEED * 100)

        def way_silent(self, _: str) -> None:
            state.stopping.wait(60)

        def way_endless(self, _: str) -> None:
            self.start(200, Content_Type="application/rss+xml")
            self.for_ever(b"<item>" * 10_000)

        def way_endless_gzip_of_nothing(self, _: str) -> None:
            self.start(200, Content_Encoding="gzip")
            stream = zlib.compressobj(0, wbits=zlib.MAX_WBITS | 16)
            self.wfile.write(stream.compress(b"<rss>") + stream.flush(zlib.Z_SYNC_FLUSH))
            self.for_ever(b"\x00\x00\x00\xff\xff" * 10_000)  # stored blocks of no bytes

        def way_bomb(self, encoding: str) -> None:
            zeros = bytes(100 * 2**20)
            bomb = (
                gzip.compress(zeros, 1) if encoding == "gzip" else brotli.compress(zeros, quality=1)
            )
            self.answer(200, bomb, Content_Encoding=encoding)

        def way_announced(self, _: str) -> None:
            self.start(200, Content_Length=str(10**12))

        def way_not_gzip(self, _: str) -> None:
            self.answer(200, FEED, Content_Encoding="gzip")

        def way_cut_gzip(self, _: str) -> None:
            self.answer(200, gzip.compress(FEED)[:-20], Content_Encoding="gzip")

        def way_cut(self, _: str) -> None:
            self.start(200, Content_Length=str(len(FEED)))
            self.wfile.write(FEED[:100])

        def way_loop(self, turn: str) -> None:
            self.answer(302, Location=f"/loop/{int(turn or 0) + 1}")

        def way_circle(self, turn: str) -> None:
            self.answer(302, Location="/circle" if turn else "/circle/back")

        def way_redirect(self, rest: str) -> None:
            status, _, target = rest.partition("/")
            self.answer(int(status), Location=target)

        def way_redirect_nowhere(self, _: str) -> None:
            self.answer(302)

        def way_wrong_charset(self, _: str) -> None:
            self.answer(200, FEED, Content_Type="text/xml; charset=utf-16")

        def way_html(self, _: str) -> None:
            page = b"<!doctype html><html><body>Please accept our cookies.</body></html>"
            self.answer(200, page, Content_Type="text/html")

        def way_empty(self, _: str) -> None:
            self.answer(200)

        def way_always_304(self, _: str) -> None:
            self.answer(304, ETag='"always"')

        def way_status(self, rest: str) -> None:
            status, _, wait = rest.partition("/")
            self.answer(int(status), **({"Retry_After": wait} if wait else {}))

        def way_reset(self, _: str) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def way_reset_in_body(self, _: str) -> None:
            self.start(200, Content_Length=str(len(FEED)))
            self.wfile.write(FEED[:50])
            self.wfile.flush()
            self.way_reset("")

        def way_no_http(self, _: str) -> None:
            self.wfile.write(b"220 mail.example ESMTP\r\n")

        def way_huge_head(self, _: str) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self.for_ever(b"X-Filler: " + b"x" * 1_000 + b"\r\n")

    return Handler
