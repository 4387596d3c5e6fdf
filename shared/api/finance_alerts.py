"""The shapes of ``/v1/finance``: the rules, the alerts that they raise, where those are sent, and
the overview that puts all of it on one page."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from shared.api.finance import IndexSeries, Note, StoryShape
from shared.api.shapes import Moment, Name, Shape, Text

RuleKind = Literal["threshold", "fall", "burst", "event"]
AlertKind = Literal["threshold", "fall", "burst", "event", "drift"]
AlertState = Literal["open", "acknowledged", "snoozed", "closed"]
Channel = Literal["webhook", "email"]
CHANNELS: tuple[Channel, ...] = ("webhook", "email")

Scope = Annotated[
    str,
    Field(
        pattern=r"^(all|company:[0-9A-Za-z._:*&-]{1,64}|sector:[^\x00-\x1f\x7f]{1,64})$",
        max_length=80,
        description="`all`, `company:<id>`, `company:*` (each watched one) or `sector:<name>`",
    ),
]
Parameters = Annotated[dict[str, JsonValue], Field(max_length=32)]


class RuleShape(Shape):
    """When to raise an alert."""

    id: str
    name: str
    kind: RuleKind
    scope: str
    parameters: dict[str, JsonValue]
    enabled: bool
    author: str
    created_at: datetime


class Rules(Shape):
    """All rules, the newest first."""

    rules: list[RuleShape]


class CreateRuleRequest(Shape):
    """A rule: ``parameters`` are those of its kind, and left out ones have their defaults."""

    name: Name
    kind: RuleKind
    scope: Scope
    parameters: Parameters = Field(default_factory=dict)
    enabled: bool = True
    author: Name


class AlertStory(Shape):
    """A story that an alert stands on."""

    id: str
    title: str
    link: str | None
    published_at: datetime


class DeliveryShape(Shape):
    """How far an alert got on its way to one target."""

    channel: Channel
    address: str
    attempts: int
    delivered_at: datetime | None
    next_attempt_at: datetime | None
    last_error: str | None


class AlertShape(Shape):
    """A rule that fired: about what, when, by which numbers and stories."""

    id: str
    rule_id: str
    rule_name: str
    kind: AlertKind = Field(description="that of the rule; `drift` is told of a model")
    subject: str
    subject_name: str = Field(description="the company's or sector's name as people read it")
    fired_at: datetime
    numbers: dict[str, JsonValue]
    rule: dict[str, JsonValue] = Field(description="the rule as it was when it fired")
    stories: list[AlertStory]
    deliveries: list[DeliveryShape]
    state: AlertState
    snoozed_until: datetime | None
    changed_by: str | None
    changed_at: datetime | None
    note: str


class Alerts(Shape):
    """A page of alerts, newest first; ``next_cursor`` asks for the next one."""

    alerts: list[AlertShape]
    next_cursor: str | None = None


class AlertRequest(Shape):
    """Acknowledge or close an alert."""

    author: Name
    note: Note = ""


class SnoozeRequest(Shape):
    """Put an alert aside until then; it opens again by itself."""

    author: Name
    until: Moment
    note: Note = ""


class TargetShape(Shape):
    """Where alerts are sent. The secret that signs webhooks is never told."""

    id: str
    channel: Channel
    address: str
    signed: bool
    enabled: bool
    created_at: datetime


class AddedTarget(TargetShape):
    """A new target, with the secret that signs what is sent there: told this once."""

    secret: str | None = None


class Targets(Shape):
    """All targets, the oldest first."""

    targets: list[TargetShape]


class AddTargetRequest(Shape):
    """A webhook's address (http or https), or an e-mail address."""

    channel: Channel
    address: Annotated[Text, Field(max_length=2_000)]
    secret: Annotated[Text, Field(min_length=16, max_length=200)] | None = Field(
        default=None, description="signs webhooks (HMAC-SHA256); a random one where none is given"
    )
    author: Name


class Mover(Shape):
    """A company whose index moved."""

    company_id: str
    name: str
    before: float = Field(description="the index a day ago")
    now: float
    change: float
    stories: int = Field(description="that mention it since")


class FeedCounts(Shape):
    """How the feeds are, in numbers."""

    active: int
    muted: int
    failing: int = Field(description="active ones whose last poll failed")


class Overview(Shape):
    """The present at a glance."""

    at: datetime
    version: str | None = Field(description="the model version in use; null: stories wait")
    hourly: IndexSeries
    daily: IndexSeries
    stories_today: int = Field(description="published in the last 24 hours")
    negative_today: int
    up: list[Mover]
    down: list[Mover]
    negative_stories: list[StoryShape] = Field(description="newest first")
    open_alerts: list[AlertShape] = Field(description="newest first")
    feeds: FeedCounts
