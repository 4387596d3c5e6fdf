"""What ``triptych doctor`` finds: one line a check, and the command that mends what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from shared.errors import TriptychError

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: how it stands, what is so, and what mends it (empty where all is well)."""

    check: str
    status: Status
    message: str
    mend: str = ""

    def __post_init__(self) -> None:
        if (self.status != "ok") != bool(self.mend):
            raise ValueError("what is wrong has a command that mends it, and nothing else has")


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", message)


def warning(check: str, message: str, mend: str) -> Finding:
    """It works, and will not for ever."""
    return Finding(check, "warning", message, mend)


def error(check: str, message: str, mend: str) -> Finding:
    """Something does not work."""
    return Finding(check, "error", message, mend)


def looked_at(check: str, look: Callable[[], Iterable[Finding]], mend: str) -> list[Finding]:
    """What a check finds; one that cannot be made is an error itself, and the others go on."""
    try:
        return list(look())
    except TriptychError as fault:
        return [error(check, fault.message, mend)]
    except Exception as fault:
        return [error(check, f"could not be looked at: {type(fault).__name__}: {fault}", mend)]
