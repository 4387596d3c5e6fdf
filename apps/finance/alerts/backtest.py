"""When rules would have fired: stored stories played against them in order of time. Pure.

Each moment sees only the stories that had been read by then. The decision is the live one,
``apps.finance.alerts.evaluation``; evaluated at the same moments, both fire at the same times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from apps.finance.alerts.evaluation import Firing, RuleState, StateKey, evaluate
from apps.finance.alerts.rules import AlertRule
from apps.finance.sentiment_index.index import EPOCH
from apps.finance.sentiment_index.timeline import Sighting, Timeline, entry_of, subjects_of, utc

HOUR = timedelta(hours=1)


def backtest(
    rules: Iterable[AlertRule],
    sightings: Iterable[Sighting],
    *,
    since: datetime,
    until: datetime,
    watched: Iterable[str],
    known_since: datetime,
) -> Iterator[Firing]:
    """The alerts that rules, ready at first, would have raised in (since, until].

    Evaluates at each full hour and whenever a story was read. ``sightings`` hold what was read
    before ``since`` too, as far back as the rules look.
    """
    rules, companies = tuple(rules), tuple(watched)
    wanted = {subject for rule in rules for subject in rule.subjects(companies)}
    waiting = sorted(sightings, key=lambda sighting: sighting.seen_at)
    timelines: dict[str, Timeline] = {subject: Timeline() for subject in wanted}
    states: dict[StateKey, RuleState] = {}
    taken = 0
    for now in moments(waiting, utc(since), utc(until)):
        while taken < len(waiting) and waiting[taken].seen_at <= now:
            mention = waiting[taken].mention
            for subject in wanted.intersection(subjects_of(mention)):
                timelines[subject].add(entry_of(mention))
            taken += 1
        outcome = evaluate(
            rules, timelines, states, watched=companies, known_since=known_since, now=now
        )
        states.update(outcome.states)
        yield from outcome.firings


def moments(sightings: Sequence[Sighting], since: datetime, until: datetime) -> list[datetime]:
    """Full hours in (since, until], and when stories were read in between, in order."""
    first = EPOCH + ((since - EPOCH) // HOUR + 1) * HOUR
    count = max(0, (until - first) // HOUR + 1)
    hours = {first + HOUR * number for number in range(count)}
    read = {one.seen_at.astimezone(UTC) for one in sightings if since < one.seen_at <= until}
    return sorted(hours | read)
