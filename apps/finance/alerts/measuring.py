"""What a rule sees at a moment: whether it is alarming, by which numbers, in which stories. Pure.

Times are compared as (after, until]: a story published at the moment itself is seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from apps.finance.alerts.rules import (
    AlertRule,
    BurstParameters,
    EventParameters,
    FallParameters,
    IndexParameters,
    ThresholdParameters,
)
from apps.finance.sentiment_index.index import (
    PAST_WEEKS,
    WEEK,
    compare_volume,
    count_stories,
    pulls,
    reading,
    remembered,
)
from apps.finance.sentiment_index.timeline import Entry, Timeline

MOST_STORIES = 20
"""Stories that an alert keeps as evidence; event alerts keep up to MOST_EVENT_STORIES."""
MOST_EVENT_STORIES = 100


@dataclass(frozen=True, slots=True)
class Measurement:
    """``alarming`` fires a rule that is ready, ``calm`` makes it ready again; never both for a
    rule with levels. ``numbers`` are fit for JSON; ``story_ids`` have the weightiest first."""

    alarming: bool
    calm: bool
    numbers: Mapping[str, Any] = field(default_factory=dict)
    story_ids: tuple[str, ...] = ()


def measure(
    rule: AlertRule,
    timeline: Timeline,
    now: datetime,
    known_since: datetime,
    reported: Collection[str] = (),
) -> Measurement:
    """What the rule sees of one subject. ``reported`` are stories that its alerts told of."""
    match rule.parameters:
        case ThresholdParameters() as parameters:
            return _threshold(parameters, timeline, now)
        case FallParameters() as parameters:
            return _fall(parameters, timeline, now)
        case BurstParameters() as parameters:
            return _burst(parameters, timeline, now, known_since)
        case EventParameters() as parameters:
            return _event(parameters, timeline, now, reported)


def looks_at(rule: AlertRule) -> list[tuple[timedelta, timedelta]]:
    """The stretches of the past that ``measure`` reads, as (oldest, newest) ages."""
    none = timedelta(0)
    match rule.parameters:
        case BurstParameters(within_hours=hours):
            window = timedelta(hours=hours)
            return [(WEEK * week + window, WEEK * week) for week in range(PAST_WEEKS + 1)]
        case EventParameters(within_hours=hours):
            return [(timedelta(hours=hours), none)]
        case FallParameters() as fall:
            return [(remembered(fall.half_life_hours) + timedelta(hours=fall.within_hours), none)]
        case parameters:
            return [(remembered(parameters.half_life_hours), none)]


def _threshold(parameters: ThresholdParameters, timeline: Timeline, now: datetime) -> Measurement:
    value = reading(timeline, now, parameters.half_life_hours).value or 0.0
    sign = parameters.sign
    calm = (value - parameters.rearm_level) * sign >= 0
    numbers = {"index": value, "level": parameters.level, "direction": parameters.direction}
    if (parameters.level - value) * sign < 0:
        return Measurement(False, calm, numbers)
    return _with_stories(parameters, timeline, now, calm, numbers, sign)


def _fall(parameters: FallParameters, timeline: Timeline, now: datetime) -> Measurement:
    moments = [now - timedelta(hours=hours) for hours in range(parameters.within_hours + 1)]
    values = [
        reading(timeline, moment, parameters.half_life_hours).value or 0.0 for moment in moments
    ]
    value, highest = values[0], max(values)
    fall = highest - value
    calm = fall < parameters.rearm_below
    numbers = {
        "index": value,
        "highest": highest,
        "highest_at": moments[values.index(highest)].isoformat(),
        "fall": fall,
        "points": parameters.points,
        "within_hours": parameters.within_hours,
    }
    if fall < parameters.points:
        return Measurement(False, calm, numbers)
    return _with_stories(parameters, timeline, now, calm, numbers, 1, moments[-1])


def _with_stories(
    parameters: IndexParameters,
    timeline: Timeline,
    now: datetime,
    calm: bool,
    numbers: Mapping[str, Any],
    sign: int,
    since: datetime | None = None,
) -> Measurement:
    """The measurement of an index that is alarming, if it stands on enough stories.

    Evidence are the stories published after ``since`` that pull the index down (``sign`` 1) or
    up (-1), those that pull most first.
    """
    begin = now - remembered(parameters.half_life_hours)
    stories = count_stories(timeline.between(begin, now))
    weighed = pulls(timeline, since or begin, now, parameters.half_life_hours)
    ranked = sorted(weighed, key=lambda pull: (pull[0] * sign, pull[1]))
    evidence = _distinct(entry for pull, entry in ranked if pull * sign < 0)[:MOST_STORIES]
    enough = stories >= parameters.min_stories
    return Measurement(enough, calm, {**numbers, "stories": stories}, evidence)


def _burst(
    parameters: BurstParameters, timeline: Timeline, now: datetime, known_since: datetime
) -> Measurement:
    begin = now - timedelta(hours=parameters.within_hours)
    entries = timeline.between(begin, now)
    found = compare_volume(timeline, begin, now, known_since, negative=True)
    z = found.z
    numbers = {
        "negative": found.count,
        "volume": count_stories(entries),
        "expected": found.expected,
        "z": z,
        "weeks": found.weeks,
        "within_hours": parameters.within_hours,
    }
    alarming = found.count >= parameters.min_stories and (z is None or z >= parameters.min_z)
    calm = found.count <= parameters.rearm_count or (z is not None and z < parameters.rearm_below_z)
    newest = [entry for entry in reversed(entries) if entry.negative]
    return Measurement(alarming, calm, numbers, _distinct(newest)[:MOST_STORIES])


def _event(
    parameters: EventParameters, timeline: Timeline, now: datetime, reported: Collection[str]
) -> Measurement:
    entries = [
        entry
        for entry in timeline.between(now - timedelta(hours=parameters.within_hours), now)
        if entry.event in parameters.events
        and entry.event_probability >= parameters.min_probability
        and (entry.negative or not parameters.only_negative)
        and entry.story_id not in reported
    ]
    told = _distinct(entries)[:MOST_EVENT_STORIES]
    events = {entry.story_id: entry.event for entry in entries if entry.story_id in set(told)}
    numbers = {
        "events": dict(sorted(Counter(events.values()).items())),
        "stories": len(told),
        "highest_probability": max((entry.event_probability for entry in entries), default=None),
    }
    return Measurement(bool(told), True, numbers, told)


def _distinct(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.story_id for entry in entries))
