"""What a check of data says: one finding a fault, with the rows that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from shared.privacy import mask_personal_data

Severity = Literal["warning", "info"]

MOST_FINDINGS: Final = 500
"""Findings of one kind that are listed; how many more there are is said in one more finding."""

EXCERPT_LENGTH: Final = 80


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. ``rows`` are positions in the texts, from 0; ``details`` are fit for JSON."""

    kind: str
    severity: Severity
    message: str
    rows: tuple[int, ...] = ()
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def excerpt(text: str) -> str:
    """The start of a text on one line, personal data masked."""
    line = " ".join(mask_personal_data(text).split())
    return line if len(line) <= EXCERPT_LENGTH else line[: EXCERPT_LENGTH - 1] + "…"


def listed(findings: Sequence[Finding], most: int = MOST_FINDINGS) -> list[Finding]:
    """The first ``most`` findings of one kind, and one that holds the rows of all the others."""
    if len(findings) <= most:
        return list(findings)
    rest = findings[most:]
    rows = tuple(dict.fromkeys(row for finding in rest for row in finding.rows))
    kind, severity = rest[0].kind, rest[0].severity
    message = f"{len(rest)} more of this kind"
    return [*findings[:most], Finding(kind, severity, message, rows, {"more": len(rest)})]
