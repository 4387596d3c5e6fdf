"""Scores that change afterwards raise no alert: what they make alarming is passed over.

A rule that was not alarming before the change and is after it cannot fire until it was calm
again. An event rule does not tell of stories that the change made into events. A rule that was
alarming in any case is left as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from apps.finance.alerts.evaluation import RuleState, StateKey
from apps.finance.alerts.live import (
    enabled_rules,
    keep_states,
    passed_over,
    states_of,
    timelines,
    windows,
)
from apps.finance.alerts.measuring import Measurement, measure
from apps.finance.alerts.rules import AlertRule, EventParameters
from apps.finance.sentiment_index.queries import known_since, sightings
from apps.finance.sentiment_index.timeline import Timeline, utc
from shared.storage.finance_tables import alert_rule_states, watched_companies


@contextmanager
def raising_no_alert(
    connection: Connection, now: datetime, story_ids: Sequence[str]
) -> Iterator[None]:
    """Scores of these stories change in here; the states of rules follow in the same transaction.

    Evaluations of one database wait for it, as they wait for each other.
    """
    now = utc(now)
    rules = enabled_rules(connection) if story_ids else []
    first = known_since(connection) if rules else None
    if first is None:
        yield
        return
    states = states_of(connection, rules, now)
    before = _seen(connection, rules, states, first, now, frozenset(story_ids))
    yield
    after = _seen(connection, rules, states, first, now, frozenset(story_ids))
    rule_of = {rule.id: rule for rule in rules}
    disarmed: dict[StateKey, RuleState] = {}
    for key, found in after.items():
        rule, was = rule_of[key[0]], before[key]
        if isinstance(rule.parameters, EventParameters):
            fresh = [one for one in found.story_ids if one not in was.story_ids]
            if fresh:
                _pass_over(connection, key, rule.parameters, fresh, now)
        elif found.alarming and not was.alarming:
            state = states.get(key, RuleState())
            disarmed[key] = RuleState(False, state.last_fired_at, state.reported)
    keep_states(connection, disarmed)


def _seen(
    connection: Connection,
    rules: Sequence[AlertRule],
    states: Mapping[StateKey, RuleState],
    known: datetime,
    now: datetime,
    story_ids: frozenset[str],
) -> dict[StateKey, Measurement]:
    """What each rule sees of each of its subjects; event rules of these stories alone."""
    watched = sorted(connection.execute(select(watched_companies.c.id)).scalars())
    wanted = {subject for rule in rules for subject in rule.subjects(watched)}
    rows = sightings(connection, windows(rules, now), seen_until=now, subjects=wanted)
    all_of = timelines(rows, wanted)
    own_of = timelines([row for row in rows if row.mention.story_id in story_ids], wanted)
    silent, found = Timeline(), {}
    for rule in rules:
        lines = own_of if isinstance(rule.parameters, EventParameters) else all_of
        for subject in rule.subjects(watched):
            reported = states.get((rule.id, subject), RuleState()).reported
            line = lines.get(subject, silent)
            found[rule.id, subject] = measure(rule, line, now, known, reported)
    return found


def _pass_over(
    connection: Connection,
    key: StateKey,
    parameters: EventParameters,
    story_ids: Sequence[str],
    now: datetime,
) -> None:
    table = alert_rule_states
    here = (table.c.rule_id == key[0], table.c.subject == key[1])
    row = connection.execute(select(table).where(*here)).first()
    forget = now - timedelta(hours=parameters.within_hours)
    kept = {} if row is None else passed_over(row.passed_over)
    told = {story: at for story, at in kept.items() if at > forget} | dict.fromkeys(story_ids, now)
    stored = {story: at.isoformat() for story, at in told.items()}
    if row is None:
        values = {"rule_id": key[0], "subject": key[1], "armed": True, "passed_over": stored}
        connection.execute(insert(table).values(values))
    else:
        connection.execute(update(table).where(*here).values(passed_over=stored))
