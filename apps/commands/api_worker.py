"""One API process of several.

    python -m apps.commands.api_worker SOCKET ALIVE COUNTS PLACE keys|open

The supervisor (``worker_processes``) starts it; SOCKET is the listening socket that it inherits,
ALIVE the end of a pipe that closes when the supervisor dies, COUNTS the file of connections that
each process holds, PLACE its place in it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from shared.settings import Settings


def end_with(alive: int) -> None:
    """End this process as SIGTERM would, once the pipe's other end is closed. Blocking."""
    while os.read(alive, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: Sequence[str]) -> None:
    """Serve on the inherited socket until a signal comes, or the supervisor is gone."""
    from apps.api import create_app
    from apps.commands.serving import run_server
    from shared.serving.connection_counts import ConnectionCounts
    from shared.serving.watching.logs import configure_logging

    number, alive, counts, place = map(int, arguments[:4])
    # A terminal sends its interrupt to the supervisor, too, which then stops this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(alive,), name="supervisor", daemon=True).start()
    settings = Settings()
    configure_logging(settings.log_format, level=settings.log_level)
    required = arguments[4] == "keys"
    app = create_app(settings, require_keys=required, loopback_only=not required)
    with socket.socket(fileno=number) as opened:
        run_server(app, opened, shared=ConnectionCounts(counts, place))


if __name__ == "__main__":
    main(sys.argv[1:])
