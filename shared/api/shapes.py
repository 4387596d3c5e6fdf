"""The base of every shape that goes over HTTP, the errors, and the model registry's shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a text must not hold NUL characters")
    return text


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=8_000),
    AfterValidator(_no_nul),
]
"""A message as people write it: 1 to 8,000 characters once stripped."""

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120),
    AfterValidator(_no_nul),
]
"""The name of an intent, a person or a version: 1 to 120 characters."""


def _written_out(moment: object) -> object:
    """Seconds since 1970 are refused, as the API's document says: only text has a zone."""
    if isinstance(moment, datetime) or (isinstance(moment, str) and not _is_number(moment)):
        return moment
    raise ValueError("a time is written as 2026-01-31T08:00:00Z, with its zone")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _within_reach(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= 2199:
        raise ValueError("a time lies between the years 1970 and 2199")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_within_reach)]
"""A time with its zone, between 1970 and 2199; in UTC once read."""


class Shape(BaseModel):
    """Immutable; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Shape):
    """An error, as every route answers it."""

    error: str = Field(description="the kind of error, for programs", examples=["not_found"])
    message: str = Field(description="what was wrong, where, and what to do")
    details: dict[str, Any] = Field(default_factory=dict)


class Health(Shape):
    """Whether the process lives, or is ready for requests."""

    status: str = Field(examples=["ok"])
    versions: dict[str, str | None] = Field(
        default_factory=dict, description="the model version that each app serves"
    )


class ModelVersionSummary(Shape):
    """One line of the registry."""

    app: str
    version: str
    created_at: datetime
    method: str
    encoder: str
    metrics: dict[str, Any] = Field(description="the metrics of the model card")
    in_use: bool


class ModelVersions(Shape):
    """The versions of one app, newest first."""

    versions: list[ModelVersionSummary]


class ModelCardShape(Shape):
    """A version's whole card, as its training wrote it."""

    app: str
    version: str
    in_use: bool
    card: dict[str, Any]


class AuditEntry(Shape):
    """Who did what: ``actor`` is the name given, ``details`` the ids and the key it came with."""

    id: int
    at: datetime
    actor: str
    action: str
    details: dict[str, Any]


class AuditLog(Shape):
    """Lines of the audit log, newest first; ``before`` reads on, null at the end."""

    entries: list[AuditEntry]
    before: int | None = Field(description="the id to ask for lines before, null at the end")


class PromoteRequest(Shape):
    """Put a version in use. ``force`` goes past the gate and is recorded."""

    author: Name
    force: bool = False


class PromotionShape(Shape):
    """What was put in use, in place of what, and what the gate said."""

    app: str
    version: str
    previous: str | None
    forced: bool
    reason: str


class RollbackRequest(Shape):
    """Put the version before the present one back in use."""

    author: Name
