"""Sockets to checked addresses only, that live no longer than the call that they serve."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable

import httpcore2

from shared.web.addresses import AddressPolicy

Resolve = Callable[[str, int, float | None], list[str]]
"""(host, port, seconds) -> IP addresses, in the order to try. Raises OSError when there is none."""

Monotonic = Callable[[], float]


def system_addresses(host: str, port: int, seconds: float | None = None) -> list[str]:
    """The addresses of a host, as the system knows them. Raises OSError, also after ``seconds``.

    The system's resolver cannot be interrupted; it is waited for in a thread that is left behind.
    """
    outcome: list[list[str] | OSError] = []

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            outcome.append(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except OSError as error:
            outcome.append(error)
        except UnicodeError as error:  # a label that is empty or too long
            outcome.append(OSError(f"{host} is not a host name: {error}"))

    thread = threading.Thread(target=look_up, name="name resolution", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"the name {host} was not resolved within {seconds:g} seconds")
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]


class Deadline:
    """The moment at which a call must be over."""

    def __init__(self, at: float, monotonic: Monotonic) -> None:
        self._at = at
        self._monotonic = monotonic

    def cut(self, timeout: float | None, over: type[Exception]) -> float:
        """The timeout, or what is left when that is less; raises ``over`` when nothing is left."""
        left = self._at - self._monotonic()
        if left <= 0:
            raise over("the call took longer than it may in all")
        return left if timeout is None else min(timeout, left)


class CheckedNetwork(httpcore2.NetworkBackend):
    """Resolves a name once, checks all its addresses, and connects to one of exactly these."""

    def __init__(
        self,
        policy: AddressPolicy,
        resolve: Resolve,
        network: httpcore2.NetworkBackend,
        deadline: Deadline,
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._network = network
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """A connection to the host. Raises AddressRefused and httpcore2's connection errors."""
        seconds = self._deadline.cut(timeout, httpcore2.ConnectTimeout)
        try:
            addresses = self._resolve(host, port, seconds)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(f"the name {host} is not known: {error}") from error
        for address in addresses:
            self._policy.check_ip(address, host, port)
        failure: Exception = httpcore2.ConnectError(f"the name {host} has no address")
        for address in addresses:
            seconds = self._deadline.cut(timeout, httpcore2.ConnectTimeout)
            try:
                stream = self._network.connect_tcp(
                    address, port, seconds, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure


class _TimedStream(httpcore2.NetworkStream):
    """A socket that is read and written no longer than its call may last."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.cut(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.cut(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        seconds = self._deadline.cut(timeout, httpcore2.ConnectTimeout)
        return _TimedStream(
            self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline
        )

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
