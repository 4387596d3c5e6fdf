"""An alert as a card: which rule fired, about whom, by which numbers and stories."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from html import escape

from pydantic import JsonValue

from shared.api.finance_alerts import AlertShape, AlertState, DeliveryShape, RuleKind, RuleShape
from shared.ui.sentiment import chip_html, line_html, link_html, time_html
from shared.ui.wording import clock_time, counted, title_of

STATES: dict[AlertState, tuple[str, str]] = {
    "open": ("open", "red"),
    "acknowledged": ("acknowledged", "blue"),
    "snoozed": ("snoozed", "orange"),
    "closed": ("closed", "gray"),
}
KINDS: dict[RuleKind, str] = {
    "threshold": "The index passes a level",
    "fall": "The index falls fast",
    "burst": "Many negative stories at once",
    "event": "A story tells of an event",
}
MOST_STORIES = 4
_PHRASES = {
    "cooldown_hours": "then silent for {} h",
    "direction": "{} the level",
    "events": "events: {}",
    "expected": "expected: {}",
    "fall": "fell by {}",
    "highest": "from {}",
    "negative": "negative: {}",
    "stories": "stories: {}",
    "weeks": "past weeks: {}",
    "half_life_hours": "half-life {} h",
    "level": "level {}",
    "min_probability": "at least {} sure",
    "min_stories": "stories: at least {}",
    "min_z": "z at least {}",
    "only_negative": "only negative: {}",
    "points": "by at least {}",
    "rearm": "ready again at {}",
    "rearm_points": "ready again below {}",
    "rearm_stories": "ready again at {} stories",
    "rearm_z": "ready again below z {}",
    "within_hours": "within {} h",
}


def alert_html(alert: AlertShape, zone: tzinfo, now: datetime) -> str:
    """The whole card but its state, which the page shows as a badge."""
    parts = [
        '<div style="font-weight:600;font-size:1.02rem;line-height:1.45">'
        f"{escape(alert.subject_name)}: {escape(alert.rule_name)}</div>",
        line_html(
            [
                time_html(alert.fired_at, zone, now),
                *(chip_html(told) for told in number_words(alert.numbers, zone, now)),
            ]
        ),
    ]
    if alert.stories:
        lines = "".join(
            f"<li>{link_html(story.title, story.link)} "
            f'<span style="opacity:.7">{time_html(story.published_at, zone, now)}</span></li>'
            for story in alert.stories[:MOST_STORIES]
        )
        more = len(alert.stories) - MOST_STORIES
        rest = f"<li>and {counted(more, 'more story', 'more stories')}</li>" if more > 0 else ""
        parts.append(
            '<ul style="margin:.3rem 0 .2rem 0;padding-left:1.2rem;font-size:.88rem;'
            f'line-height:1.5;overflow-wrap:anywhere">{lines}{rest}</ul>'
        )
    told = [_delivery_html(one, zone, now) for one in alert.deliveries]
    if alert.changed_by and alert.changed_at:
        note = f": “{escape(alert.note)}”" if alert.note else ""
        told.append(
            f"{alert.state} by {escape(alert.changed_by)} "
            f"{time_html(alert.changed_at, zone, now)}{note}"
        )
    if alert.state == "snoozed" and alert.snoozed_until:
        told.append(f"until {time_html(alert.snoozed_until, zone, now)}")
    return "".join(parts) + line_html(told)


def rule_words(rule: RuleShape) -> str:
    """What a rule waits for, in words: its kind and the parameters that were set."""
    told = "; ".join(number_words(rule.parameters))
    return f"{KINDS[rule.kind]} · {scope_words(rule.scope)}" + (f" · {told}" if told else "")


def scope_words(scope: str) -> str:
    """Whom a rule looks at, in words."""
    kind, _, name = scope.partition(":")
    if kind == "all":
        return "all stories"
    if kind == "sector":
        return f"sector {name}"
    return "each watched company" if name == "*" else f"company {name}"


def number_words(
    numbers: Mapping[str, JsonValue], zone: tzinfo = UTC, now: datetime | None = None
) -> list[str]:
    """Each number with its name: "volume 9". Parts that are unset are left out.

    Times, whose names end in ``_at``, are shown by the clock of ``zone``, as of ``now``.
    """
    told: list[str] = []
    for name, value in numbers.items():
        if value is None or value in ([], {}):
            continue
        if name.endswith("_at") and isinstance(value, str):
            moment = datetime.fromisoformat(value)
            shown = clock_time(moment, zone, now or moment)
        else:
            shown = _value(value)
        told.append(_PHRASES.get(name, f"{title_of(name).lower()} {{}}").format(shown))
    return told


def _value(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(one)}" for key, one in value.items())
    return str(value)


def _delivery_html(delivery: DeliveryShape, zone: tzinfo, now: datetime) -> str:
    where = f"{delivery.channel} {escape(delivery.address)}"
    if delivery.delivered_at:
        return f"sent to {where} {time_html(delivery.delivered_at, zone, now)}"
    why = f": {escape(delivery.last_error)}" if delivery.last_error else ""
    if delivery.next_attempt_at:
        again = time_html(delivery.next_attempt_at, zone, now)
        return f"not sent to {where} yet, tried again {again}{why}"
    return f"could not be sent to {where}{why}"
