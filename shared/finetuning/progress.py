"""What a long piece of work tells while it runs: a bar for people, a log for programs."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TextIO

from tqdm import tqdm


class ProgressReporter(Protocol):
    """Where the core reports to."""

    def say(self, message: str) -> None:
        """A line for people."""

    def start(self, title: str, total: int, done: int = 0, unit: str = "text") -> None:
        """A piece of work of ``total`` texts begins, ``done`` of them are behind it."""

    def advance(self, count: int, **figures: float) -> None:
        """``count`` more texts are done; ``figures`` (loss, ...) are shown beside the bar."""

    def finish(self) -> None:
        """The piece of work is over."""

    def log(self, **event: Any) -> None:
        """One event for the JSON-lines log."""


class SilentProgress:
    """Shows nothing; keeps the events, so that tests and callers can read them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def say(self, message: str) -> None:
        """Drop the line."""

    def start(self, title: str, total: int, done: int = 0, unit: str = "text") -> None:
        """Show nothing."""

    def advance(self, count: int, **figures: float) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""

    def log(self, **event: Any) -> None:
        """Keep the event."""
        self.events.append(event)


class ConsoleProgress:
    """A bar with rate, time left and figures on standard error, and a JSON-lines log file."""

    def __init__(self, log_path: Path | None = None, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.events: list[dict[str, Any]] = []
        self._bar: tqdm[Any] | None = None
        self._log = None
        self._started = time.monotonic()
        if log_path is not None:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            self._log = log_path.open("a", encoding="utf-8")

    def __enter__(self) -> ConsoleProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()
        if self._log is not None:
            self._log.close()

    def say(self, message: str) -> None:
        """Write the line above the bar."""
        tqdm.write(message, file=self.stream)

    def start(self, title: str, total: int, done: int = 0, unit: str = "text") -> None:
        """Open a bar; on a stream that is no terminal it moves every few seconds only."""
        self.finish()
        slow = 0.2 if self.stream.isatty() else 10.0
        self._bar = tqdm(
            desc=title, total=total, initial=done, unit=unit, file=self.stream,
            mininterval=slow, dynamic_ncols=True, smoothing=0.1, leave=True,
        )  # fmt: skip

    def advance(self, count: int, **figures: float) -> None:
        """Move the bar."""
        if self._bar is not None:
            if figures:
                self._bar.set_postfix({k: f"{v:.3f}" for k, v in figures.items()}, refresh=False)
            self._bar.update(count)

    def finish(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def log(self, **event: Any) -> None:
        """Append the event, with the seconds since the start."""
        record = {"seconds": round(time.monotonic() - self._started, 3), **event}
        self.events.append(record)
        if self._log is not None:
            self._log.write(json.dumps(record) + "\n")
            self._log.flush()
