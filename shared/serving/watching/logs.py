"""Logs: text for people or JSON lines for programs, with the request's id in each line of it.

    2026-11-24 09:00:00,000 INFO    ...watching.tracing [4f1c...]: POST /v1/support/chat 200 ...
    {"time": "2026-11-24T09:00:00.000+00:00", "level": "INFO", "request_id": "4f1c...", ...}

A record is one line whatever it holds: line ends and other control characters of a message are
written out as escapes, so that nobody can write lines of his own into the log (CWE-117), and the
lines of a traceback are indented.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from shared.serving.guards.secret_masking import Masked, mask_all_handlers
from shared.serving.watching.request_context import current_request_id
from shared.serving.watching.telemetry import current_trace_id

LogFormat = Literal["text", "json"]

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_QUIET = ("alembic", "apscheduler", "httpx2", "httpcore2")


def configure_logging(
    format: LogFormat = "text",
    *,
    level: str = "INFO",
    stream: TextIO | None = None,
    filters: Sequence[logging.Filter] = (),
) -> logging.Handler:
    """Send all records to ``stream`` (standard error) in this format; the handler that does.

    A handler that an earlier call made is replaced. ``filters`` see each record before it is
    written and may change it.
    """
    handler = _TriptychHandler(stream or sys.stderr)
    handler.addFilter(RequestContext())
    for one in filters:
        handler.addFilter(one)
    handler.setFormatter(Masked(json_formatter() if format == "json" else OneLine()))
    root = logging.getLogger()
    for before in list(root.handlers):
        if isinstance(before, _TriptychHandler):
            root.removeHandler(before)
    root.addHandler(handler)
    root.setLevel(level)
    for chatty in _QUIET:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    mask_all_handlers()
    return handler


class _TriptychHandler(logging.StreamHandler[TextIO]):
    """The handler that ``configure_logging`` knows again."""


class RequestContext(logging.Filter):
    """Gives each record the ids of the request and the trace at hand; it lets all pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add ``request_id`` and ``trace_id`` where there are any."""
        if not hasattr(record, "request_id") and (id := current_request_id()) is not None:
            record.request_id = id
        if (trace := current_trace_id()) is not None:
            record.trace_id = trace
        return True


class OneLine(logging.Formatter):
    """Text, a line a record, the request's id in brackets; a traceback is indented below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s%(request)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, on which nothing ends it early."""
        id = getattr(record, "request_id", None)
        record.request = f" [{id}]" if id else ""
        return escaped(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The record, whatever another handler has made of its traceback already."""
        cached, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = cached

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """The stack, indented, too."""
        return _indented(stack_info)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback, indented: no line of it looks like a record."""
        return _indented(super().formatException(ei))


def _indented(text: str) -> str:
    return "\n".join(f"    {escaped(line)}" for line in text.splitlines())


def escaped(text: str) -> str:
    """The text with control characters, line ends and marks of direction written out."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def json_formatter() -> logging.Formatter:
    """A JSON object a line, ASCII only: time, level, logger, message, process, and the extras."""
    from pythonjsonlogger.json import JsonFormatter

    class Lines(JsonFormatter):  # type: ignore[misc]
        def add_fields(
            self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
        ) -> None:
            """The time first, in UTC (RFC 3339)."""
            moment = datetime.fromtimestamp(record.created, UTC)
            log_data["time"] = moment.isoformat(timespec="milliseconds")
            super().add_fields(log_data, record, message_dict)

    return Lines(
        "{levelname}{name}{message}{process}{threadName}",
        style="{",
        rename_fields={"levelname": "level", "name": "logger", "threadName": "thread"},
        json_ensure_ascii=True,
    )
