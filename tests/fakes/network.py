"""A resolver and sockets for tests: they answer what they are told and keep what was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import httpcore2


@dataclass
class FakeResolver:
    """``answers`` are given in turn, the last one for ever; an OSError among them is raised."""

    answers: list[list[str] | OSError]
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, host: str, port: int, seconds: float | None) -> list[str]:
        self.asked.append((host, port))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, OSError):
            raise answer
        return answer


@dataclass
class FakeNetwork(httpcore2.NetworkBackend):
    """Every connection answers ``reply``; those to addresses in ``dead`` fail.

    With ``real`` the sockets are real ones, all to that loopback address.
    """

    reply: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    dead: frozenset[str] = frozenset()
    real: tuple[str, int] | None = None
    connected: list[tuple[str, int]] = field(default_factory=list)
    tls_names: list[str | None] = field(default_factory=list)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        self.connected.append((host, port))
        if host in self.dead:
            raise httpcore2.ConnectError(f"{host} does not answer")
        if self.real is not None:
            return httpcore2.SyncBackend().connect_tcp(*self.real, timeout=timeout)
        return _Reply(self)


class _Reply(httpcore2.MockStream):
    def __init__(self, network: FakeNetwork) -> None:
        super().__init__([network.reply])
        self._network = network

    def start_tls(
        self, ssl_context: object, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        self._network.tls_names.append(server_hostname)
        return self
