"""A port of its own for each process's metrics, where several processes share the API's port.

A scrape of the shared port is answered by whichever process takes the connection, and counters
would jump back and forth. With ``TRIPTYCH_METRICS_PORT`` each process also answers on the first
port from there on that is free; Prometheus is told all of them (docs/monitoring.md).
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server

from shared.errors import SettingsError
from shared.serving.watching.metrics import Metrics

LOGGER = logging.getLogger(__name__)

MOST_PROCESSES = 64
"""Ports that are tried, one after another."""


@contextmanager
def metrics_on_port(metrics: Metrics, port: int, *, host: str = "127.0.0.1") -> Iterator[int]:
    """Answer scrapes on the first free port from ``port`` on, within it; which one it is.

    It serves metrics and nothing else, without keys: keep it off public networks. Raises
    SettingsError where all are taken, or the host is none of this machine's.
    """
    last = min(port + MOST_PROCESSES, 65_536)
    for tried in range(port, last):
        try:
            server, thread = start_http_server(tried, host, metrics.registry)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise SettingsError(
                f"metrics cannot be served on {host}, port {tried} ({error.strerror}): change"
                " TRIPTYCH_METRICS_PORT or TRIPTYCH_METRICS_HOST",
                port=tried,
            ) from error
        LOGGER.info("metrics of this process on http://%s:%d/metrics", host, tried)
        try:
            yield tried
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
        return
    raise SettingsError(
        f"ports {port} to {last - 1} on {host} are all taken: change TRIPTYCH_METRICS_PORT",
        port=port,
    )
