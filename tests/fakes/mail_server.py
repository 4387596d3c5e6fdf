"""A mail server on loopback (SMTP, RFC 5321) that keeps what it got, and can refuse."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReceivedMail:
    """One message with its envelope; ``data`` as sent, dots unstuffed."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes


@dataclass
class MailServer:
    """``received`` in order; ``logins`` as (user, password).

    ``refuse_recipient`` and ``refuse_data`` are replies that are given instead of accepting;
    ``drop_after_data`` hangs up as soon as a message was taken; ``offers_login`` announces AUTH.
    ``encryption`` is offered by STARTTLS where it is set; ``encrypted`` counts such sessions.
    """

    port: int = 0
    received: list[ReceivedMail] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    refuse_recipient: str | None = None
    refuse_data: str | None = None
    drop_after_data: bool = False
    offers_login: bool = False
    encryption: ssl.SSLContext | None = None
    encrypted: int = 0


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A running MailServer, stopped at the end."""
    state = MailServer()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.sender, self.recipients = "", []
            self._say("220 fake ESMTP")
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                if not self._obey(line.split(" ", 1)[0].upper(), line):
                    return

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def _obey(self, verb: str, line: str) -> bool:
            """Whether the session goes on."""
            if verb == "EHLO":
                login = "250-AUTH PLAIN\r\n" if state.offers_login else ""
                tls = "250-STARTTLS\r\n" if state.encryption else ""
                self._say(f"250-fake\r\n{login}{tls}250 8BITMIME")
            elif verb == "STARTTLS" and state.encryption:
                self._say("220 go on")
                return self._encrypt(state.encryption)
            elif verb == "AUTH":
                _, user, password = base64.b64decode(line.split()[-1]).decode().split("\0")
                state.logins.append((user, password))
                self._say("235 welcome" if password == "right" else "535 no")
            elif verb == "MAIL":
                self.sender = line.partition("<")[2].partition(">")[0]
                self._say("250 ok")
            elif verb == "RCPT":
                self.recipients.append(line.partition("<")[2].partition(">")[0])
                self._say(state.refuse_recipient or "250 ok")
            elif verb == "DATA":
                return self._data()
            elif verb in ("RSET", "NOOP"):
                self._say("250 ok")
            elif verb == "QUIT":
                self._say("221 bye")
                return False
            else:
                self._say("502 not known")
            return True

        def _encrypt(self, context: ssl.SSLContext) -> bool:
            try:
                self.connection = context.wrap_socket(self.connection, server_side=True)
            except OSError:
                return False  # the client does not trust the certificate
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)
            state.encrypted += 1
            return True

        def _data(self) -> bool:
            if state.refuse_data:
                self._say(state.refuse_data)
                return True
            self._say("354 go on")
            lines: list[bytes] = []
            while line := self.rfile.readline():
                if line == b".\r\n":
                    break
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            state.received.append(
                ReceivedMail(self.sender, tuple(self.recipients), b"".join(lines))
            )
            self._say("250 taken")
            return not state.drop_after_data

        def _say(self, reply: str) -> None:
            self.wfile.write(f"{reply}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Session)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
