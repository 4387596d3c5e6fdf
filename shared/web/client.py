"""An HTTP client for addresses that users give: checked at the moment of connecting, and in time.

Each call is one connection. The name is resolved once, every address that comes back is checked,
and the socket is opened to one of exactly these: a name that answers differently the second time
(DNS rebinding) gains nothing. TLS still verifies the certificate against the name. The connection
carries the deadline of the whole call, so that a server that sends a byte now and then, in the
head or in the body, cannot hold it. No proxy of the environment, no redirect, no cookie.
"""

from __future__ import annotations

import importlib.metadata
import ssl
import time
from collections.abc import Iterable, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import NoReturn

import httpcore2
import httpx2

from shared.web.addresses import AddressPolicy
from shared.web.connections import (
    CheckedNetwork,
    Deadline,
    Monotonic,
    Resolve,
    system_addresses,
)


def user_agent(purpose: str) -> str:
    """What calls introduce themselves with, for example ``Triptych/0.1.0 (feed reader)``."""
    return f"Triptych/{importlib.metadata.version('triptych')} ({purpose})"


def guarded_client(
    policy: AddressPolicy,
    *,
    user_agent: str,
    connect_timeout: float = 5.0,
    total_timeout: float = 30.0,
    resolve: Resolve | None = None,
    network: httpcore2.NetworkBackend | None = None,
    ssl_context: ssl.SSLContext | None = None,
    monotonic: Monotonic = time.monotonic,
) -> httpx2.Client:
    """A client whose calls all obey ``policy``, to be closed by the caller.

    Times are in seconds. ``connect_timeout`` bounds each of resolving, connecting and the TLS
    handshake; ``total_timeout`` the whole call from resolving to the last byte, unless the
    request's extension ``total_timeout`` says less. ``resolve``, ``network`` and ``ssl_context``
    stand for the system's resolver, sockets and certificates.

    Its calls raise AddressRefused, and else what httpx2 raises (httpx2.HTTPError).
    """
    return httpx2.Client(
        transport=GuardedTransport(
            policy,
            total_timeout=total_timeout,
            resolve=resolve or system_addresses,
            network=network or httpcore2.SyncBackend(),
            ssl_context=ssl_context,
            monotonic=monotonic,
        ),
        timeout=httpx2.Timeout(total_timeout, connect=connect_timeout),
        headers={"User-Agent": user_agent},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )


class GuardedTransport(httpx2.BaseTransport):
    """One checked connection a call, over HTTP/1.1."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        total_timeout: float,
        resolve: Resolve,
        network: httpcore2.NetworkBackend,
        ssl_context: ssl.SSLContext | None,
        monotonic: Monotonic,
    ) -> None:
        self._policy = policy
        self._total = total_timeout
        self._resolve = resolve
        self._network = network
        self._ssl_context = ssl_context or httpx2.create_ssl_context(trust_env=False)
        self._monotonic = monotonic

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Check, connect, send, and answer with a response whose body is still to be read."""
        self._policy.check_url(str(request.url))
        assert isinstance(request.stream, httpx2.SyncByteStream)
        total = min(self._total, request.extensions.get("total_timeout", self._total))
        deadline = Deadline(self._monotonic() + total, self._monotonic)
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        connection = httpcore2.HTTPConnection(
            origin=url.origin,
            ssl_context=self._ssl_context,
            network_backend=CheckedNetwork(self._policy, self._resolve, self._network, deadline),
        )
        try:
            response = connection.handle_request(
                httpcore2.Request(
                    method=request.method,
                    url=url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException as error:
            connection.close()
            _raise_as_httpx2(error)
        assert isinstance(response.stream, Iterable)
        return httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream, connection),
            extensions=response.extensions,
        )


class _Body(httpx2.SyncByteStream):
    """A body that closes its connection when it is closed."""

    def __init__(self, stream: Iterable[bytes], connection: httpcore2.HTTPConnection) -> None:
        self._stream = stream
        self._connection = connection

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except Exception as error:
            _raise_as_httpx2(error)

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()
        self._connection.close()


def _raise_as_httpx2(error: BaseException) -> NoReturn:
    """Raises the error of httpx2 that bears the name of one of httpcore2; any other as it is."""
    for kind in type(error).__mro__:
        named = getattr(httpx2, kind.__name__, None)
        if kind.__module__.startswith("httpcore2") and isinstance(named, type):
            raise named(str(error) or type(error).__name__) from error
    raise error
