"""Which rules fire at a moment: the one decision that live alerts and backtests share. Pure.

A rule fires for a subject when what it sees is alarming, it is ready, and its cool-down is over.
It is ready again once it was calm. A rule that became alarming within its cool-down stays ready:
it fires afterwards if it is still alarming then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from apps.finance.alerts.measuring import Measurement, measure
from apps.finance.alerts.rules import AlertRule, EventParameters
from apps.finance.sentiment_index.timeline import Timeline

StateKey = tuple[str, str]
"""The ids of a rule and its subject."""


@dataclass(frozen=True, slots=True)
class RuleState:
    """What a rule remembers of one subject.

    ``armed``: ready to fire. ``reported``: stories that its alerts told of, with the time of the
    alert; kept for event rules only, as long as such a story could be told of again.
    """

    armed: bool = True
    last_fired_at: datetime | None = None
    reported: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired: when, for whom, by which numbers and stories, and when it may be sent."""

    rule: AlertRule
    subject: str
    fired_at: datetime
    numbers: Mapping[str, Any]
    story_ids: tuple[str, ...]
    send_at: datetime

    @property
    def id(self) -> str:
        """The alert's id (32 hexadecimal digits): the same firing has the same id everywhere."""
        parts = [self.rule.id, self.subject, self.fired_at.isoformat(), *self.story_ids]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one moment brought: alerts, and the states that changed."""

    firings: tuple[Firing, ...]
    states: Mapping[StateKey, RuleState]


def evaluate(
    rules: Iterable[AlertRule],
    timelines: Mapping[str, Timeline],
    states: Mapping[StateKey, RuleState],
    *,
    watched: Iterable[str],
    known_since: datetime,
    now: datetime,
) -> Evaluation:
    """Ask each enabled rule about each of its subjects, as things stood at ``now``.

    ``timelines`` hold, by subject, what was known then and nothing that was read later.
    ``watched`` are the ids of the companies on the watch list.
    """
    companies = sorted(set(watched))
    silent = Timeline()
    firings: list[Firing] = []
    changed: dict[StateKey, RuleState] = {}
    for rule in rules:
        if not rule.enabled:
            continue
        for subject in rule.subjects(companies):
            state = states.get((rule.id, subject), RuleState())
            timeline = timelines.get(subject, silent)
            seen = measure(rule, timeline, now, known_since, state.reported)
            after, firing = decide(rule, subject, seen, state, now)
            if firing is not None:
                firings.append(firing)
            if after != state:
                changed[rule.id, subject] = after
    return Evaluation(tuple(firings), changed)


def decide(
    rule: AlertRule, subject: str, seen: Measurement, state: RuleState, now: datetime
) -> tuple[RuleState, Firing | None]:
    """The state afterwards, and the alert if the rule fires."""
    ready = state.armed or seen.calm
    if not (ready and seen.alarming) or _cooling(rule, state, now):
        return RuleState(ready, state.last_fired_at, state.reported), None
    quiet = rule.parameters.quiet_hours
    firing = Firing(
        rule=rule,
        subject=subject,
        fired_at=now,
        numbers=seen.numbers,
        story_ids=seen.story_ids,
        send_at=quiet.over_at(now) if quiet is not None else now,
    )
    return RuleState(seen.calm, now, _reported(rule, state, seen, now)), firing


def _cooling(rule: AlertRule, state: RuleState, now: datetime) -> bool:
    """Whether the last alert is too near, on either side: clocks may be set back."""
    if state.last_fired_at is None:
        return False
    return abs(now - state.last_fired_at) < timedelta(hours=rule.parameters.cooldown_hours)


def _reported(
    rule: AlertRule, state: RuleState, seen: Measurement, now: datetime
) -> Mapping[str, datetime]:
    if not isinstance(rule.parameters, EventParameters):
        return {}
    forget = now - timedelta(hours=rule.parameters.within_hours)
    kept = {story: at for story, at in state.reported.items() if at > forget}
    return kept | dict.fromkeys(seen.story_ids, now)
