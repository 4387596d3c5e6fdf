"""Secrets never stand in a log: what looks like one is masked in the finished line.

Masked are API keys (their id stays), passwords in addresses, what follows a name such as
``password``, ``secret`` or ``token``, credentials of an Authorization header, and webhook
addresses that are secrets themselves. The line is masked after it was formatted: so the message,
its arguments, the extras of JSON lines and tracebacks are all covered.
"""

from __future__ import annotations

import logging
import re

MASK = "***"

_LONGEST = 512
_API_KEY = re.compile(r"tk_([0-9A-Za-z]{1,64})_[0-9A-Za-z_-]{1,512}")
_PASSWORD = re.compile(rf"://([^\s/:@'\"]{{0,{_LONGEST}}}):[^\s'\"]{{0,{_LONGEST}}}@")
_USER_ONLY = re.compile(rf"://[^\s/@:'\"]{{1,{_LONGEST}}}@")
_CREDENTIALS = re.compile(r"\b(Bearer|Basic)(\s+)(?!\*)[^\s'\",;)]{4,}", re.IGNORECASE)
_NAMED = re.compile(
    r"(?<![a-z])(passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|signature"
    r"|authorization)([\"'\\]{0,4}\s{0,4}[=:]\s{0,4}[\"'\\]{0,4}(?:Bearer\s+|Basic\s+)?)"
    r"(?!\*|None\b|null\b)[^\s\"'\\&,;)}\]]+",
    re.IGNORECASE,
)
_HOOK = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows)/|discord(?:app)?\.com/api/webhooks/)[^\s'\"]+"
)


def mask_secrets(text: str) -> str:
    """The text with everything that looks like a secret replaced by ``***``."""
    masked = _API_KEY.sub(rf"tk_\1_{MASK}", text)
    if "://" in masked:
        masked = _PASSWORD.sub(rf"://\1:{MASK}@", masked)
        masked = _USER_ONLY.sub(f"://{MASK}@", masked)
        masked = _HOOK.sub(rf"\1{MASK}", masked)
    masked = _NAMED.sub(rf"\1\2{MASK}", masked)
    return _CREDENTIALS.sub(rf"\1\2{MASK}", masked)


class Masked(logging.Formatter):
    """Formats as ``inner`` does and masks the secrets in what comes out."""

    def __init__(self, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self.inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """The masked line."""
        return mask_secrets(self.inner.format(record))


def mask_all_handlers() -> None:
    """Mask what every handler of every logger writes, also one that a library installed."""
    known = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    for logger in [logging.root, *known]:
        for handler in logger.handlers:
            if not isinstance(handler.formatter, Masked):
                handler.setFormatter(Masked(handler.formatter))
