"""When rules fire: levels, hysteresis, cool-down, quiet hours, each event once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.finance.alerts.evaluation import Firing, RuleState, decide, evaluate
from apps.finance.alerts.measuring import (
    MOST_EVENT_STORIES,
    MOST_STORIES,
    Measurement,
    looks_at,
    measure,
)
from apps.finance.alerts.rules import AlertRule, make_rule
from apps.finance.records import ScoredMention
from apps.finance.sentiment_index.timeline import timeline_of
from tests.fakes.scored_rows import row

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG_AGO = NOON - timedelta(days=100)
WEEK = timedelta(days=7)


def rule(kind: str = "threshold", scope: str = "all", **parameters: Any) -> AlertRule:
    return make_rule(
        id=f"{kind}1",
        name=f"my {kind}",
        kind=kind,
        scope=scope,
        parameters=parameters,
        enabled=True,
        author="Ada",
        created_at=LONG_AGO,
    )


def seen(one: AlertRule, rows: Iterable[ScoredMention], now: datetime = NOON) -> Measurement:
    return measure(one, timeline_of(rows, one.scope), now, LONG_AGO)


ALARM = Measurement(True, False, {"index": -0.5}, ("s",))
BETWEEN = Measurement(False, False)
CALM = Measurement(False, True)


def fire_times(one: AlertRule, steps: Iterable[Measurement], every: timedelta = HOUR) -> list[int]:
    """Which steps fire."""
    state, fired = RuleState(), []
    for number, measurement in enumerate(steps):
        state, firing = decide(one, "all", measurement, state, NOON + every * number)
        if firing is not None:
            fired.append(number)
    return fired


def test_a_number_that_trembles_around_its_level_fires_once() -> None:
    one = rule(cooldown_hours=0)
    assert fire_times(one, [ALARM, BETWEEN, ALARM, BETWEEN, ALARM]) == [0]
    assert fire_times(one, [ALARM, BETWEEN, CALM, BETWEEN, ALARM, ALARM]) == [0, 4]


def test_an_alarm_within_the_cool_down_fires_afterwards_if_it_lasts() -> None:
    one = rule(cooldown_hours=4)
    lasting = [ALARM, CALM, ALARM, ALARM, ALARM, ALARM]
    assert fire_times(one, lasting) == [0, 4]
    assert fire_times(one, [ALARM, CALM, ALARM, BETWEEN, BETWEEN, BETWEEN]) == [0]


def test_a_clock_that_was_set_back_does_not_silence_a_rule_for_long() -> None:
    one = rule(cooldown_hours=4)
    future = RuleState(True, NOON + timedelta(days=3650))
    assert decide(one, "all", ALARM, future, NOON)[1] is not None
    near = RuleState(True, NOON + HOUR)
    assert decide(one, "all", ALARM, near, NOON)[1] is None


def test_in_quiet_hours_an_alert_is_raised_and_sent_afterwards() -> None:
    one = rule(quiet_hours={"start": "11:00", "end": "15:00", "zone": "UTC"})
    firing = decide(one, "all", ALARM, RuleState(), NOON)[1]
    assert firing is not None
    assert (firing.fired_at, firing.send_at) == (NOON, NOON + 3 * HOUR)
    loud = decide(rule(), "all", ALARM, RuleState(), NOON)[1]
    assert loud is not None
    assert loud.send_at == NOON


def test_an_alert_has_one_id_wherever_it_is_computed() -> None:
    def made(**changes: Any) -> str:
        values = {
            "rule": rule(),
            "subject": "all",
            "fired_at": NOON,
            "numbers": {},
            "story_ids": ("a", "b"),
            "send_at": NOON,
        }
        return Firing(**(values | changes)).id

    assert made() == made(send_at=NOON + HOUR, numbers={"index": 1})
    others = [made(subject="company:a"), made(fired_at=NOON + HOUR), made(story_ids=("a",))]
    assert len({made(), *others}) == 4
    assert len(made()) == 32


def test_a_threshold_is_reached_from_its_side_and_ready_behind_the_other_level() -> None:
    one = rule(level=-0.4, rearm=-0.2)
    low = seen(one, [row("a", NOON), row("b", NOON)])  # 2 * -0.88 / 2.5
    assert (low.alarming, low.calm) == (True, False)
    assert low.numbers["index"] == pytest.approx(-0.704)
    assert low.numbers["stories"] == 2
    later = seen(one, [row("a", NOON)], NOON + timedelta(hours=40))  # half-way back
    assert (later.alarming, later.calm) == (False, False)
    assert seen(one, []).calm is True
    high = rule(level=0.4, direction="above")
    good = [row("a", NOON, "positive"), row("b", NOON, "negative", novelty=0.1)]
    found = seen(high, good)
    assert (found.alarming, found.story_ids) == (True, ("a",))


def test_too_few_stories_raise_no_alert() -> None:
    rows = [row("a", NOON), row("b", NOON)]
    assert seen(rule(level=-0.4, min_stories=2), rows).alarming
    assert not seen(rule(level=-0.4, min_stories=3), rows).alarming
    assert seen(rule("fall", points=0.4, min_stories=2), rows).alarming
    assert not seen(rule("fall", points=0.4, min_stories=3), rows).alarming


def test_the_evidence_is_what_pulled_most_and_nothing_that_pulled_the_other_way() -> None:
    rows = [
        row("faint", NOON, relevance=0.3),
        row("old", NOON - timedelta(hours=20)),
        row("fresh", NOON),
        row("good", NOON, "positive", relevance=0.1),
    ]
    assert seen(rule(level=-0.4), rows).story_ids == ("fresh", "old", "faint")
    many = [row(f"s{n:02}", NOON - n * timedelta(minutes=1)) for n in range(30)]
    found = seen(rule(level=-0.4), many)
    assert found.story_ids == tuple(f"s{n:02}" for n in range(MOST_STORIES))


def test_a_fall_is_measured_from_the_highest_of_the_window() -> None:
    one = rule("fall", points=0.8, within_hours=12)
    good = [row(f"g{n}", NOON - timedelta(hours=10), "positive") for n in range(3)]
    bad = [row(f"b{n}", NOON - HOUR) for n in range(6)]
    found = seen(one, good + bad)
    assert found.alarming
    assert found.numbers["highest_at"] == (NOON - timedelta(hours=10)).isoformat()
    assert found.numbers["fall"] == pytest.approx(found.numbers["highest"] - found.numbers["index"])
    assert set(found.story_ids) == {f"b{n}" for n in range(6)}
    later = seen(one, good + bad, NOON + timedelta(hours=12))
    assert (later.alarming, later.calm) == (False, True)


def test_a_burst_is_many_negative_stories_and_more_than_in_past_weeks() -> None:
    one = rule("burst", min_stories=5, min_z=3, within_hours=3)
    now = [row(f"n{n}", NOON - n * timedelta(minutes=10)) for n in range(8)]
    good = [row(f"g{n}", NOON, "positive") for n in range(20)]
    found = seen(one, now + good)
    assert found.alarming
    assert (found.numbers["negative"], found.numbers["volume"]) == (8, 28)
    assert (found.numbers["expected"], found.numbers["weeks"]) == (0.0, 8)
    assert found.story_ids == tuple(f"n{n}" for n in range(8))
    usual = [row(f"w{w}n{n}", NOON - WEEK * w) for w in range(1, 9) for n in range(7)]
    assert not seen(one, now + usual).alarming
    assert seen(one, now[:4]).alarming is False
    assert seen(one, now[:2]).calm
    between = seen(one, now[:3])
    assert (between.alarming, between.calm) == (False, False)


def test_while_no_past_week_is_known_the_count_alone_decides() -> None:
    one = rule("burst", min_stories=5)
    rows = [row(f"n{n}", NOON) for n in range(5)]
    new = measure(one, timeline_of(rows, "all"), NOON, NOON - timedelta(days=2))
    assert (new.alarming, new.numbers["z"], new.numbers["expected"]) == (True, None, None)


def event_row(
    story: str, at: datetime, mood: str = "negative", sure: float = 0.9, event: str = "lawsuit"
) -> ScoredMention:
    return row(story, at, mood, event=event, event_probability=sure)


def test_an_event_is_told_by_stories_of_the_window_that_are_sure_enough() -> None:
    one = rule("event", events=["lawsuit", "insolvency"], min_probability=0.6, within_hours=6)
    rows = [
        event_row("a", NOON),
        event_row("b", NOON - HOUR, "neutral", event="insolvency"),
        event_row("unsure", NOON, sure=0.59),
        event_row("old", NOON - 6 * HOUR),
        event_row("other", NOON, event="merger"),
        row("none", NOON),
    ]
    found = seen(one, rows)
    assert (found.alarming, set(found.story_ids)) == (True, {"a", "b"})
    assert found.numbers["events"] == {"insolvency": 1, "lawsuit": 1}
    assert found.numbers["highest_probability"] == 0.9
    bad = rule("event", events=["lawsuit", "insolvency"], only_negative=True)
    assert seen(bad, rows).story_ids == ("old", "a", "unsure")
    assert not seen(one, []).alarming


def run(one: AlertRule, rows: list[ScoredMention], times: list[datetime]) -> list[Firing]:
    """Evaluate at the times; rows are known once they are published."""
    states: dict[tuple[str, str], RuleState] = {}
    fired: list[Firing] = []
    for now in times:
        known = [r for r in rows if r.published_at <= now]
        lines = {"all": timeline_of(known, "all")}
        outcome = evaluate([one], lines, states, watched=[], known_since=LONG_AGO, now=now)
        states.update(outcome.states)
        fired += outcome.firings
    return fired


def test_each_story_of_an_event_is_told_once_and_those_of_the_cool_down_together() -> None:
    one = rule("event", events=["lawsuit"], cooldown_hours=3, within_hours=24)
    rows = [event_row(name, NOON + HOUR * at) for name, at in (("a", 0), ("b", 1), ("c", 2))]
    fired = run(one, rows, [NOON + HOUR * n for n in range(30)])
    assert [(firing.fired_at, firing.story_ids) for firing in fired] == [
        (NOON, ("a",)),
        (NOON + 3 * HOUR, ("b", "c")),
    ]


def test_without_a_cool_down_every_new_story_of_an_event_fires_at_once() -> None:
    one = rule("event", events=["lawsuit"], cooldown_hours=0)
    rows = [event_row(name, NOON + HOUR * at) for name, at in (("a", 0), ("b", 1), ("c", 1))]
    fired = run(one, rows, [NOON, NOON, NOON + HOUR, NOON + HOUR])
    assert [firing.story_ids for firing in fired] == [("a",), ("b", "c")]


def test_more_stories_than_an_alert_holds_come_in_the_next_one() -> None:
    one = rule("event", events=["lawsuit"], cooldown_hours=1)
    rows = [event_row(f"s{n:03}", NOON) for n in range(MOST_EVENT_STORIES + 5)]
    fired = run(one, rows, [NOON, NOON + HOUR, NOON + 2 * HOUR])
    assert [len(firing.story_ids) for firing in fired] == [MOST_EVENT_STORIES, 5]
    assert len({story for firing in fired for story in firing.story_ids}) == len(rows)


def test_each_watched_company_is_a_subject_of_its_own() -> None:
    one = rule(scope="company:*", level=-0.4)
    rows = [row("a", NOON, company="acme"), row("b", NOON, "positive", company="bolt")]
    lines = {name: timeline_of(rows, name) for name in ("company:acme", "company:bolt")}
    outcome = evaluate(
        [one], lines, {}, watched=["bolt", "acme", "new"], known_since=LONG_AGO, now=NOON
    )
    assert [firing.subject for firing in outcome.firings] == ["company:acme"]
    assert outcome.states == {("threshold1", "company:acme"): RuleState(False, NOON)}


def test_a_rule_that_is_off_does_nothing() -> None:
    off = replace(rule(level=-0.4), enabled=False)
    lines = {"all": timeline_of([row("a", NOON)], "all")}
    outcome = evaluate([off], lines, {}, watched=[], known_since=LONG_AGO, now=NOON)
    assert (outcome.firings, outcome.states) == ((), {})


@pytest.mark.parametrize(
    "one",
    [
        rule(level=-0.3, half_life_hours=6),
        rule("fall", points=0.3, within_hours=6, half_life_hours=6),
        rule("burst", min_stories=2, within_hours=4),
        rule("event", events=["lawsuit"], within_hours=10),
    ],
    ids=lambda one: one.kind,
)
def test_a_rule_reads_no_more_of_the_past_than_it_says(one: AlertRule) -> None:
    rows = [
        event_row(f"s{n}", NOON - n * timedelta(hours=5), mood)
        for n, mood in zip(range(300), ["negative", "positive", "negative"] * 100, strict=True)
    ]
    needed = [
        r
        for r in rows
        if any(NOON - old < r.published_at <= NOON - new for old, new in looks_at(one))
    ]
    assert len(needed) < len(rows)
    assert seen(one, needed) == seen(one, rows)
