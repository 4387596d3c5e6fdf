"""Alert rules: what fires, for whom, and how often. Each kind documents its parameters.

Every kind but ``event`` has two levels: one that fires and one that makes it ready again, so that
a number that trembles around a level fires once (hysteresis). Unknown parameters are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from apps.finance.alerts.quiet_hours import QuietHours
from apps.finance.sentiment_index.index import HALF_LIFE_HOURS
from shared.errors import DataError

RuleKind = Literal["threshold", "fall", "burst", "event"]
RULE_KINDS: tuple[RuleKind, ...] = get_args(RuleKind)

Hours = Annotated[float, Field(gt=0, le=24 * 28)]
Level = Annotated[float, Field(ge=-1, le=1)]

_SCOPE = re.compile(r"all|company:[0-9A-Za-z._:*&-]{1,64}|sector:[^\x00-\x1f\x7f]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


class RuleParameters(BaseModel):
    """What every kind has."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    cooldown_hours: float = Field(
        default=6.0, ge=0, le=24 * 28, description="after an alert, no other one for so long"
    )
    quiet_hours: QuietHours | None = Field(
        default=None, description="alerts are raised then too, and sent afterwards"
    )


class IndexParameters(RuleParameters):
    """What rules on the index have."""

    half_life_hours: Hours = Field(
        default=HALF_LIFE_HOURS, description="age at which a story counts half"
    )
    min_stories: int = Field(default=1, ge=1, description="fewer stories that count raise no alert")


class ThresholdParameters(IndexParameters):
    """The index reaches a level from one side; it is ready again behind ``rearm``."""

    level: Level = -0.4
    direction: Literal["below", "above"] = "below"
    rearm: Level | None = Field(
        default=None, description="unset: 0.1 on the calm side of the level"
    )

    @model_validator(mode="after")
    def _rearm_is_calm(self) -> ThresholdParameters:
        if (self.rearm_level - self.level) * self.sign <= 0:
            side = "above" if self.direction == "below" else "below"
            raise ValueError(f"rearm is {self.rearm}; it must lie {side} the level {self.level}")
        return self

    @property
    def sign(self) -> int:
        """1 where low values are alarming, -1 where high ones are."""
        return 1 if self.direction == "below" else -1

    @property
    def rearm_level(self) -> float:
        """The level at which the rule is ready again."""
        return self.level + 0.1 * self.sign if self.rearm is None else self.rearm


class FallParameters(IndexParameters):
    """The index stands at least ``points`` below its highest of the last ``within_hours``."""

    points: float = Field(default=0.4, gt=0, le=2)
    within_hours: int = Field(default=24, ge=1, le=24 * 14)
    rearm_points: float | None = Field(
        default=None, ge=0, description="ready again when it fell less; unset: half of points"
    )

    @model_validator(mode="after")
    def _rearm_is_calm(self) -> FallParameters:
        if self.rearm_below >= self.points:
            raise ValueError(f"rearm_points must be less than points, {self.points}")
        return self

    @property
    def rearm_below(self) -> float:
        """The fall under which the rule is ready again."""
        return self.points / 2 if self.rearm_points is None else self.rearm_points


class BurstParameters(RuleParameters):
    """Far more negative stories than in the same hours of past weeks.

    Fires on at least ``min_stories`` negative stories within ``within_hours`` whose z-score
    reaches ``min_z``; while no past week is known, the count alone decides.
    """

    within_hours: int = Field(default=3, ge=1, le=48)
    min_stories: int = Field(default=5, ge=1)
    min_z: float = Field(default=3.0, gt=0)
    rearm_stories: int | None = Field(
        default=None, ge=0, description="ready again at so many; unset: half of min_stories"
    )
    rearm_z: float | None = Field(
        default=None, description="or below this z-score; unset: half of min_z"
    )

    @model_validator(mode="after")
    def _rearm_is_calm(self) -> BurstParameters:
        if self.rearm_count >= self.min_stories:
            raise ValueError(f"rearm_stories must be less than min_stories, {self.min_stories}")
        if self.rearm_below_z >= self.min_z:
            raise ValueError(f"rearm_z must be less than min_z, {self.min_z}")
        return self

    @property
    def rearm_count(self) -> int:
        """The count at which the rule is ready again."""
        return self.min_stories // 2 if self.rearm_stories is None else self.rearm_stories

    @property
    def rearm_below_z(self) -> float:
        """The z-score under which the rule is ready again."""
        return self.min_z / 2 if self.rearm_z is None else self.rearm_z


class EventParameters(RuleParameters):
    """A story of the last ``within_hours`` tells of one of the ``events``; each story once."""

    cooldown_hours: float = Field(
        default=1.0, ge=0, le=24 * 28, description="stories until then come in the next alert"
    )
    events: tuple[Annotated[str, Field(min_length=1, max_length=32)], ...] = Field(min_length=1)
    min_probability: float = Field(default=0.5, ge=0, le=1)
    within_hours: int = Field(default=24, ge=1, le=24 * 14)
    only_negative: bool = Field(default=False, description="only stories that are negative")


Parameters: TypeAlias = ThresholdParameters | FallParameters | BurstParameters | EventParameters

PARAMETERS: Mapping[RuleKind, type[Parameters]] = {
    "threshold": ThresholdParameters,
    "fall": FallParameters,
    "burst": BurstParameters,
    "event": EventParameters,
}


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule. ``scope`` is ``all``, ``company:<id>``, ``company:*`` or ``sector:<name>``."""

    id: str
    name: str
    kind: RuleKind
    scope: str
    parameters: Parameters
    enabled: bool
    author: str
    created_at: datetime

    def subjects(self, watched: Iterable[str]) -> tuple[str, ...]:
        """What the rule looks at; ``watched`` are the ids of the companies on the watch list."""
        if self.scope == "company:*":
            return tuple(f"company:{company}" for company in sorted(set(watched)))
        return (self.scope,)

    def as_json(self) -> dict[str, Any]:
        """The rule as an alert keeps it, with every parameter."""
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "scope": self.scope,
            "parameters": self.parameters.model_dump(mode="json"),
            "author": self.author,
        }


def make_rule(
    *,
    id: str,
    name: str,
    kind: str,
    scope: str,
    parameters: Mapping[str, Any],
    enabled: bool,
    author: str,
    created_at: datetime,
) -> AlertRule:
    """A rule whose parts were checked. DataError says which part is wrong and what it may be."""
    known = next((name for name in RULE_KINDS if name == kind), None)
    if known is None:
        raise DataError(f"{kind!r} is no kind of rule: {', '.join(RULE_KINDS)}", kind=kind)
    if not _SCOPE.fullmatch(scope) or ("*" in scope and scope != "company:*"):
        raise DataError(
            f"{scope!r} is no scope: all, company:<id>, company:* or sector:<name>", scope=scope
        )
    if not name.strip() or len(name) > 200 or _CONTROL.search(name):
        raise DataError("a rule's name is one line of 1 to 200 characters", name=name)
    try:
        checked = PARAMETERS[known].model_validate(dict(parameters))
    except ValidationError as error:
        raise DataError(_first_fault(known, error), kind=kind) from error
    return AlertRule(id, name.strip(), known, scope, checked, enabled, author, created_at)


def _first_fault(kind: RuleKind, error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = ", ".join(PARAMETERS[kind].model_fields)
        return f"{place} is no parameter of a {kind} rule: {known}"
    return f"{place}: {message}" if place else message
