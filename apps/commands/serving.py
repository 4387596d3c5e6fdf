"""``triptych serve`` and ``triptych ui``: the API and the pages."""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from shared.command_line import reports_errors, say
from shared.errors import SettingsError
from shared.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from shared.serving.connection_counts import ConnectionCounts

PORT = click.IntRange(0, 65535)


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """A socket that listens on ``host`` and ``port`` (0: any that is free).

    Raises SettingsError, naming the ``option`` to change, when the port is taken or the host is
    none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(f"{host!r} is no host that this machine knows", host=host) from error
    opened = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(2048)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            told = f"port {port} on {host} is taken: stop what holds it, or choose another"
        else:
            told = f"cannot listen on {host}, port {port} ({error.strerror}): choose another"
        raise SettingsError(f"{told} with {option}", host=host, port=port) from error
    return opened


def address_of(opened: socket.socket) -> str:
    """The address of a listening socket, as a browser takes it."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def keys_required(settings: Settings, host: str, *, no_auth: bool) -> bool:
    """Whether callers must send a key: yes, but on loopback when there is none or by wish.

    Raises SettingsError when that would leave an open server on the network.
    """
    from shared.serving.guards.keys import any_key
    from shared.serving.guards.limits import is_loopback_host
    from shared.storage.engine import open_database

    local = is_loopback_host(host)
    if no_auth and not local:
        raise SettingsError(
            f"--no-auth is for this machine only, and {host} can be reached from others: "
            "drop --no-auth, or serve on 127.0.0.1"
        )
    engine = open_database(settings.database)
    try:
        there_is_one = any_key(engine)
    finally:
        engine.dispose()
    if not there_is_one and not local:
        raise SettingsError(
            f"{host} can be reached from other machines and there is no API key yet: make one "
            "with `triptych keys create --name NAME --scope admin`, or serve on 127.0.0.1"
        )
    return there_is_one and not no_auth


def run_server(
    app: FastAPI, opened: socket.socket, *, shared: ConnectionCounts | None = None
) -> None:
    """Serve ``app`` on a listening socket until a signal ends it.

    ``shared`` counts what each process holds where others listen on the socket, too.
    """
    import uvicorn

    from shared.serving.collector_pauses import CollectorPauses
    from shared.serving.guards.request_head import BoundedHead

    config = uvicorn.Config(
        app,
        log_config=None,
        http=BoundedHead,
        access_log=False,  # the application logs each request, with its id
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=10,
    )
    CollectorPauses().install()
    server: uvicorn.Server
    if shared is not None:
        from shared.serving.sharing_server import SharingServer

        server = SharingServer(config, shared)
    else:
        server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):  # uvicorn shuts down first and raises it then
        server.run(sockets=[opened])


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=8000, type=PORT, show_default=True, help="0: any free port.")
@click.option("--no-auth", is_flag=True, help="Ask for no key; on loopback only.")
@click.option(
    "--processes",
    default=1,
    type=click.IntRange(1, 256),
    show_default=True,
    help="Processes that share the port, each with models of its own; the dead start again.",
)
@reports_errors
def serve(host: str, port: int, no_auth: bool, processes: int) -> None:
    """Serve the HTTP API.

    Without any API key it serves this machine only. Models load in the background: /readyz
    says when they can answer.
    """
    settings = Settings()
    with listen(host, port) as opened:
        required = keys_required(settings, host, no_auth=no_auth)
        from shared.serving.watching.logs import configure_logging

        configure_logging(settings.log_format, level=settings.log_level)
        who = "callers need an API key" if required else "no keys, this machine only"
        if processes > 1:
            from apps.commands.worker_processes import supervise

            say(f"serving on {address_of(opened)} by {processes} processes ({who})")
            cores = os.cpu_count() or 1
            supervise(opened.fileno(), processes, keys=required, cores=cores)
            return
        from apps.api import create_app

        app = create_app(settings, require_keys=required, loopback_only=not required)
        say(f"serving on {address_of(opened)} ({who})")
        run_server(app, opened)


def ui_command(port: int) -> list[str]:
    """The command that runs the pages on loopback, without telemetry."""
    found = importlib.util.find_spec("apps.home")
    if found is None or found.origin is None:
        raise SettingsError("the pages (apps/home.py) are not installed")
    options = {
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", found.origin, *flags]


def ui_environment(
    settings: Settings, api_url: str | None, given: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the pages: where the API is, and the key that they send."""
    environment = {**given, "TRIPTYCH_API_URL": api_url or settings.api_url}
    if settings.api_key:
        environment["TRIPTYCH_API_KEY"] = settings.api_key
    return environment


def start_pages(
    settings: Settings, port: int, api_url: str | None = None
) -> subprocess.Popen[bytes]:
    """Start the pages in a process of their own; the caller ends it.

    Raises SettingsError when the port is taken.
    """
    listen("127.0.0.1", port).close()
    return subprocess.Popen(
        ui_command(port),
        env=ui_environment(settings, api_url, os.environ),
        stdin=subprocess.DEVNULL,
    )


@click.command()
@click.option("--port", default=8501, type=click.IntRange(1, 65535), show_default=True)
@click.option("--api-url", help="Where the API is; TRIPTYCH_API_URL, or http://127.0.0.1:8000.")
@reports_errors
def ui(port: int, api_url: str | None) -> None:
    """Serve the pages, on this machine. They talk to the API (`triptych serve`)."""
    settings = Settings()
    listen("127.0.0.1", port).close()
    say(f"pages on http://127.0.0.1:{port}, talking to {api_url or settings.api_url}")
    command = ui_command(port)
    # In this process's place, so that none is left behind that holds the port when it is killed.
    environment = ui_environment(settings, api_url, os.environ)
    os.execve(command[0], command, environment)  # nosec B606
