"""The model version in use: loaded, warmed up, read from, and replaced while requests run.

    registry pointer ─(checked twice a second)─> load in a thread ─> warm up ─> swap one reference

A batch takes the reference once, so that all of its results come from one version.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from shared.errors import NotReady, TriptychError

LOGGER = logging.getLogger(__name__)


class VersionPointer(Protocol):
    """What says which version is in use: ``models.registry.ModelRegistry`` is one."""

    def in_use(self, app: str) -> str | None:
        """The name of the version in use, None before the first."""
        ...

    def get(self, app: str, version: str | None = None) -> Any:
        """A version, with its folder and card."""
        ...


class Versioned(Protocol):
    """What is loaded of a version."""

    @property
    def version(self) -> str:
        """The name of the version."""
        ...


L = TypeVar("L", bound=Versioned)


class VersionInUse(Generic[L]):
    """Holds what was loaded of an app's version in use and follows the registry's pointer.

    ``load`` makes it of what ``registry.get`` gives and may take seconds; ``warm_up`` is called
    with it before it answers anyone. A version that cannot be loaded leaves the one before in
    place and is tried again after ``retry_seconds``.
    """

    def __init__(
        self,
        app: str,
        registry: VersionPointer,
        load: Callable[[Any], L],
        warm_up: Callable[[L], object],
        *,
        poll_seconds: float = 0.5,
        retry_seconds: float = 10.0,
    ) -> None:
        self.app = app
        self._registry = registry
        self._load = load
        self._warm_up = warm_up
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._loaded: L | None = None
        self._loading = threading.Lock()
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self.last_error: str | None = None

    @property
    def ready(self) -> bool:
        """Whether a version is loaded and warmed up."""
        return self._loaded is not None

    @property
    def version(self) -> str | None:
        """The version that is loaded."""
        loaded = self._loaded
        return loaded.version if loaded else None

    def current(self) -> L:
        """What is loaded now. Raises NotReady before the first version is."""
        loaded = self._loaded
        if loaded is None:
            raise NotReady(
                f"no model version is in use for {self.app} yet: run `triptych train {self.app}`"
                if self.last_error is None
                else f"the model of {self.app} cannot be loaded: {self.last_error}"
            )
        return loaded

    def start(self) -> None:
        """Load and warm up the version in use, if there is one, and follow the pointer."""
        self._stopping.clear()
        self._try_refresh()
        self._watcher = threading.Thread(target=self._watch, name=f"{self.app}-reload", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop following. What is loaded stays."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join(timeout=30)
            self._watcher = None

    def refresh(self) -> bool:
        """Load the version that the pointer names, if it is another; whether it was.

        Requests go on with the version before until this one is warmed up.
        """
        with self._loading:
            wanted = self._registry.in_use(self.app)
            if wanted is None or wanted == self.version:
                return False
            loaded = self._load(self._registry.get(self.app, wanted))
            self._warm_up(loaded)
            self._loaded = loaded
            self.last_error = None
        LOGGER.info("%s serves version %s", self.app, loaded.version)
        return True

    def _try_refresh(self) -> bool:
        try:
            self.refresh()
        except Exception as error:
            # Whatever is wrong with a new version must not end the service of the old one.
            told = error.message if isinstance(error, TriptychError) else repr(error)
            if told != self.last_error:
                LOGGER.exception("%s cannot load the version in use", self.app)
            self.last_error = told
            return False
        return True

    def _watch(self) -> None:
        pause = self._poll_seconds
        while not self._stopping.wait(pause):
            pause = self._poll_seconds if self._try_refresh() else self._retry_seconds
