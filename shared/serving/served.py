"""What an app hands over to be served, and how it is started without holding up the server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from fastapi import APIRouter

from shared.errors import TriptychError
from shared.serving.watching.metrics import Metrics

LOGGER = logging.getLogger(__name__)


class ServedApp(Protocol):
    """One app behind the API. ``router`` carries the app's own prefix.

    ``start`` loads and warms up, and may take long: it is called in a thread of its own. It may
    return before a version is in use; then the app goes on looking for one by itself. When it
    raises it is called again. ``ready`` turns true once requests can be answered.
    """

    @property
    def name(self) -> str:
        """The app's name, as in ``/v1/<name>``."""
        ...

    @property
    def router(self) -> APIRouter:
        """The app's routes."""
        ...

    @property
    def ready(self) -> bool:
        """Whether requests can be answered."""
        ...

    @property
    def version(self) -> str | None:
        """The model version that answers."""
        ...

    def start(self) -> None:
        """Load and warm up."""
        ...

    def stop(self) -> None:
        """End what ``start`` began."""
        ...


@runtime_checkable
class SaysWhyNotReady(Protocol):
    """A served app that can say what it waits for. ``waiting_for`` is None when it cannot."""

    @property
    def waiting_for(self) -> str | None:
        """What is missing, and which command brings it."""
        ...


@runtime_checkable
class Refreshes(Protocol):
    """A served app that can be told to look for another version now."""

    def refresh(self) -> bool:
        """Load the version in use if it is another than the one that answers; whether it was."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A served app that counts things of its own: it is handed the metrics before it starts."""

    def measure(self, metrics: Metrics) -> None:
        """Take the metrics to count with."""
        ...


class Starter:
    """Starts apps in the background, each in its own thread, and tells which are not ready."""

    def __init__(self, served: Sequence[ServedApp], *, retry_seconds: float = 2.0) -> None:
        self.served = tuple(served)
        self._retry_seconds = retry_seconds
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._errors: dict[str, str] = {}
        self._started: set[str] = set()

    def start(self) -> None:
        """Begin to start every app; returns at once."""
        self._stopping.clear()
        self._threads = [
            threading.Thread(
                target=self._start_one, args=(app,), name=f"start-{app.name}", daemon=True
            )
            for app in self.served
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, *, patience_seconds: float = 10.0) -> None:
        """Stop every app, also those whose start has not ended.

        Such an app is stopped twice: at once, so that its start may end, and once it has ended.
        """
        self._stopping.set()
        starting = {thread.name for thread in self._threads if thread.is_alive()}
        for app in self.served:
            _stop(app)
        for thread in self._threads:
            thread.join(timeout=patience_seconds)
        for app in self.served:
            if f"start-{app.name}" in starting:
                _stop(app)

    def versions(self) -> dict[str, str | None]:
        """The model version that each app serves."""
        return {app.name: app.version for app in self.served}

    def reasons(self) -> dict[str, str]:
        """Why each app that is not ready is not, and what to do.

        An app without a version is not waited for once another one has its version: a desk that
        uses one app never trains the others.
        """
        if any(app.ready and app.version for app in self.served):
            waited_for = [app for app in self.served if not self._unused(app)]
        else:
            waited_for = list(self.served)
        return {app.name: self._reason(app) for app in waited_for if not app.ready}

    def _unused(self, app: ServedApp) -> bool:
        """Whether the app has started and found no version in use, with nothing else amiss."""
        told = app.waiting_for if isinstance(app, SaysWhyNotReady) else None
        return app.name in self._started and app.version is None and not told

    def _reason(self, app: ServedApp) -> str:
        told = app.waiting_for if isinstance(app, SaysWhyNotReady) else None
        told = told or self._errors.get(app.name)
        if told:
            return told
        if app.name not in self._started:
            return "loading and warming up: try again in a few seconds"
        return (
            f"no model version is in use: run `triptych train {app.name} --data NAME_OR_PATH`, "
            f"or `triptych models list --app {app.name}` and `triptych models promote`"
        )

    def _start_one(self, app: ServedApp) -> None:
        while not self._stopping.is_set():
            try:
                app.start()
            except TriptychError as error:
                self._remember(app, error.message)
            except Exception as error:
                LOGGER.exception("starting %s failed", app.name)
                self._remember(app, f"starting failed ({type(error).__name__}): see the log")
            else:
                self._errors.pop(app.name, None)
                self._started.add(app.name)
                return
            self._stopping.wait(self._retry_seconds)

    def _remember(self, app: ServedApp, reason: str) -> None:
        if self._errors.get(app.name) != reason:
            LOGGER.warning("%s is not ready: %s", app.name, reason)
        self._errors[app.name] = reason


def _stop(app: ServedApp) -> None:
    try:
        app.stop()
    except Exception:
        LOGGER.exception("stopping %s failed", app.name)
