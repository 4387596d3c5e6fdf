"""Live alerts: rules are evaluated in the caller's transaction, which also stores the news.

Alert, rule state and deliveries are written together, or none of them: a process that is killed
in between neither loses an alert nor raises it twice. Sending is done elsewhere
(``shared.monitoring.delivery``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from apps.finance.alerts.evaluation import Firing, RuleState, StateKey, evaluate
from apps.finance.alerts.measuring import looks_at
from apps.finance.alerts.messages import message_of
from apps.finance.alerts.rule_store import rules_of
from apps.finance.alerts.rules import AlertRule, EventParameters
from apps.finance.sentiment_index.queries import Window, known_since, sightings
from apps.finance.sentiment_index.timeline import (
    Entry,
    Sighting,
    Timeline,
    entry_of,
    subjects_of,
    utc,
)
from shared.monitoring.outbox import any_target, write_deliveries
from shared.storage.finance_tables import (
    alert_rule_states,
    alert_rules,
    alerts,
    watched_companies,
)


def evaluate_rules(
    connection: Connection, now: datetime, *, send: bool = True
) -> tuple[Firing, ...]:
    """Evaluate all enabled rules on what is stored, and write the alerts that they raise.

    Every enabled target gets one delivery of each alert, due at once or when the rule's quiet
    hours are over; none with ``send`` false, for news of the past that is played again.
    Evaluations of one database wait for each other. Without a rule it costs one query.
    """
    now = utc(now)
    rules = enabled_rules(connection)
    first = known_since(connection) if rules else None
    if first is None:
        return ()
    watched = tuple(connection.execute(select(watched_companies.c.id)).scalars())
    wanted = {subject for rule in rules for subject in rule.subjects(watched)}
    rows = sightings(connection, windows(rules, now), seen_until=now, subjects=wanted)
    outcome = evaluate(
        rules,
        timelines(rows, wanted),
        states_of(connection, rules, now),
        watched=watched,
        known_since=first,
        now=now,
    )
    keep_states(connection, outcome.states)
    for firing in outcome.firings:
        if _write_alert(connection, firing) and send:
            _write_deliveries(connection, firing)
    return outcome.firings


def windows(rules: Iterable[AlertRule], now: datetime) -> list[Window]:
    """When the stories were published that rules look at; stretches that meet are joined."""
    spans = sorted((now - old, now - new) for rule in rules for old, new in looks_at(rule))
    joined: list[Window] = []
    for after, until in spans:
        if joined and after <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((after, until))
    return joined


def timelines(rows: Iterable[Sighting], wanted: Iterable[str]) -> dict[str, Timeline]:
    """The rows by subject, for the subjects wanted."""
    kept = frozenset(wanted)
    entries: defaultdict[str, list[Entry]] = defaultdict(list)
    for row in rows:
        for subject in kept.intersection(subjects_of(row.mention)):
            entries[subject].append(entry_of(row.mention))
    return {subject: Timeline(found) for subject, found in entries.items()}


def enabled_rules(connection: Connection) -> list[AlertRule]:
    """Enabled rules, their rows locked until the transaction ends."""
    rows = connection.execute(
        select(alert_rules)
        .where(alert_rules.c.enabled)
        .order_by(alert_rules.c.id)
        .with_for_update()
    )
    return list(rules_of(rows))


def states_of(
    connection: Connection, rules: Sequence[AlertRule], now: datetime
) -> dict[StateKey, RuleState]:
    """What the rules remember of their subjects."""
    ids = [rule.id for rule in rules]
    reported = _reported(connection, rules, now)
    rows = connection.execute(select(alert_rule_states).where(alert_rule_states.c.rule_id.in_(ids)))
    return {
        (row.rule_id, row.subject): RuleState(
            row.armed,
            row.last_fired_at,
            passed_over(row.passed_over) | reported.get((row.rule_id, row.subject), {}),
        )
        for row in rows
    }


def passed_over(stored: Mapping[str, str] | None) -> dict[str, datetime]:
    """Stories that an event rule does not tell of, since a later score made the event."""
    return {story: datetime.fromisoformat(at) for story, at in (stored or {}).items()}


def _reported(
    connection: Connection, rules: Sequence[AlertRule], now: datetime
) -> Mapping[StateKey, dict[str, datetime]]:
    """Stories that event rules told of, as long as they could tell of them again."""
    hours = {
        rule.id: rule.parameters.within_hours
        for rule in rules
        if isinstance(rule.parameters, EventParameters)
    }
    if not hours:
        return {}
    rows = connection.execute(
        select(alerts.c.rule_id, alerts.c.subject, alerts.c.fired_at, alerts.c.story_ids).where(
            alerts.c.rule_id.in_(sorted(hours)),
            alerts.c.fired_at > now - timedelta(hours=max(hours.values())),
        )
    )
    found: defaultdict[StateKey, dict[str, datetime]] = defaultdict(dict)
    for row in rows:
        found[row.rule_id, row.subject].update(dict.fromkeys(row.story_ids, row.fired_at))
    return found


def keep_states(connection: Connection, states: Mapping[StateKey, RuleState]) -> None:
    """Write what rules remember; stories that they pass over stay as they are."""
    table = alert_rule_states
    for (rule_id, subject), state in sorted(states.items()):
        values = {"armed": state.armed, "last_fired_at": state.last_fired_at}
        here = (table.c.rule_id == rule_id, table.c.subject == subject)
        if not connection.execute(update(table).where(*here).values(values)).rowcount:
            key = {"rule_id": rule_id, "subject": subject}
            connection.execute(insert(table).values(key | values))


def _write_alert(connection: Connection, firing: Firing) -> bool:
    """Write an alert; whether it is new."""
    there = select(alerts.c.id).where(alerts.c.id == firing.id)
    if connection.execute(there).first() is not None:
        return False
    connection.execute(
        insert(alerts).values(
            id=firing.id,
            rule_id=firing.rule.id,
            rule=firing.rule.as_json(),
            subject=firing.subject,
            fired_at=firing.fired_at,
            numbers=dict(firing.numbers),
            story_ids=list(firing.story_ids),
            state="open",
            note="",
        )
    )
    return True


def _write_deliveries(connection: Connection, firing: Firing) -> None:
    """Write what is to be sent of an alert; without a target no message is made."""
    if any_target(connection):
        write_deliveries(connection, firing.id, message_of(connection, firing), firing.send_at)
