"""A backtest sees at each moment what was known then, and decides as live alerts do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance.alerts.backtest import backtest, moments
from apps.finance.alerts.evaluation import Firing, RuleState, evaluate
from apps.finance.alerts.rules import AlertRule, make_rule
from apps.finance.sentiment_index.timeline import Sighting, timeline_of
from tests.fakes.scored_rows import row

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG_AGO = NOON - timedelta(days=100)


def rule(kind: str, scope: str = "all", **parameters: Any) -> AlertRule:
    return make_rule(
        id=f"{kind} {scope}",
        name=kind,
        kind=kind,
        scope=scope,
        parameters=parameters,
        enabled=True,
        author="Ada",
        created_at=LONG_AGO,
    )


def play(
    rules: list[AlertRule],
    sightings: list[Sighting],
    since: datetime = NOON - 3 * HOUR,
    until: datetime = NOON + 30 * HOUR,
) -> list[Firing]:
    found = backtest(
        rules, sightings, since=since, until=until, watched=["acme"], known_since=LONG_AGO
    )
    return list(found)


def test_a_story_counts_from_when_it_was_read_and_not_from_when_it_was_published() -> None:
    late = Sighting(NOON + timedelta(minutes=20), row("a", NOON - 2 * HOUR))
    fired = play([rule("threshold", level=-0.4)], [late])
    assert [firing.fired_at for firing in fired] == [NOON + timedelta(minutes=20)]
    assert fired[0].story_ids == ("a",)


def test_silence_is_evaluated_each_hour_so_that_a_rule_is_ready_again() -> None:
    one = rule("threshold", level=-0.4, rearm=-0.2, half_life_hours=6, cooldown_hours=0)
    rows = [Sighting(NOON, row("a", NOON)), Sighting(NOON + 20 * HOUR, row("b", NOON + 20 * HOUR))]
    assert [firing.fired_at for firing in play([one], rows)] == [NOON, NOON + 20 * HOUR]
    soon = [rows[0], Sighting(NOON + 2 * HOUR, row("b", NOON + 2 * HOUR))]
    assert [firing.fired_at for firing in play([one], soon)] == [NOON]


def test_what_was_read_before_the_range_is_known_and_fires_at_its_first_moment() -> None:
    old = Sighting(NOON - 5 * HOUR, row("a", NOON - 5 * HOUR))
    fired = play([rule("threshold", level=-0.4)], [old])
    assert [firing.fired_at for firing in fired] == [NOON - 2 * HOUR]
    assert play([rule("threshold", level=-0.4)], [old], until=NOON - 3 * HOUR) == []


def test_moments_are_full_hours_and_times_of_reading_within_the_range() -> None:
    at = NOON + timedelta(minutes=10)
    rows = [Sighting(when, row("a", NOON)) for when in (at, at, NOON - HOUR, NOON + 3 * HOUR)]
    assert moments(rows, NOON - HOUR, NOON + 2 * HOUR) == [NOON, at, NOON + HOUR, NOON + 2 * HOUR]
    assert moments([], NOON, NOON) == []
    assert moments([], NOON, NOON - HOUR) == []


RULES = [
    rule("threshold", level=-0.3, rearm=-0.1, cooldown_hours=2, half_life_hours=5),
    rule("threshold", "company:*", level=0.2, direction="above", cooldown_hours=0),
    rule("fall", points=0.3, within_hours=5, cooldown_hours=1, half_life_hours=4),
    rule("burst", min_stories=2, within_hours=2, min_z=1, cooldown_hours=0),
    rule("event", "sector:steel", events=["lawsuit"], cooldown_hours=3),
]

minutes = st.integers(-6 * 60, 30 * 60)
events = st.lists(
    st.tuples(
        minutes,
        st.integers(0, 8 * 60),
        st.sampled_from(["negative", "neutral", "positive"]),
        st.sampled_from([None, "acme", "bolt"]),
        st.sampled_from([None, "lawsuit"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(events)
def test_step_by_step_and_backtest_fire_at_the_same_times(
    happened: list[tuple[int, int, str, str | None, str | None]],
) -> None:
    sightings = []
    for number, (read, age, mood, company, event) in enumerate(happened):
        seen_at = NOON + timedelta(minutes=read)
        published = seen_at - timedelta(minutes=age)
        mention = row(
            f"s{number}",
            published,
            mood,
            company=company,
            sector="steel" if company else None,
            event=event,
            event_probability=0.8 if event else None,
        )
        sightings.append(Sighting(seen_at, mention))
    since, until = NOON - 3 * HOUR, NOON + 30 * HOUR

    live: list[Firing] = []
    states: dict[tuple[str, str], RuleState] = {}
    for now in moments(sightings, since, until):
        known = [one.mention for one in sightings if one.seen_at <= now]
        subjects = ("all", "company:acme", "sector:steel")
        lines = {subject: timeline_of(known, subject) for subject in subjects}
        outcome = evaluate(RULES, lines, states, watched=["acme"], known_since=LONG_AGO, now=now)
        states |= outcome.states
        live += outcome.firings

    assert play(RULES, sightings, since, until) == live
    assert play(RULES, sightings[::-1], since, until) == live
