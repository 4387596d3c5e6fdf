"""Alerts written with the news that raises them, on SQLite and PostgreSQL."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, select, update

from apps.finance.alerts.backtest_queries import stored_backtest
from apps.finance.alerts.evaluation import Firing
from apps.finance.alerts.live import evaluate_rules
from apps.finance.alerts.rule_store import RuleStore
from apps.finance.alerts.rules import AlertRule
from apps.finance.alerts.store import AlertStore
from apps.finance.alerts.targets import TargetStore
from shared.storage.engine import open_database
from shared.storage.finance_tables import (
    alert_rule_states,
    alert_rules,
    alerts,
    deliveries,
    mentions,
    stories,
    watched_companies,
)
from shared.web.addresses import AddressPolicy
from tests.fakes.scored_rows import store_story

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def add_rule(
    engine: Engine, kind: str = "threshold", scope: str = "all", **given: Any
) -> AlertRule:
    return RuleStore(engine).add(
        name=f"my {kind}", kind=kind, scope=scope, parameters=given, author="Ada", now=NOON
    )


def add_target(engine: Engine, address: str = "desk@example.com") -> str:
    store = TargetStore(engine)
    policy = AddressPolicy()
    return store.add(channel="email", address=address, policy=policy, author="Ada", now=NOON).id


def watch(engine: Engine, company: str) -> None:
    values = {"id": company, "name": company.title(), "aliases": [], "added_by": "Ada"}
    with engine.begin() as connection:
        connection.execute(insert(watched_companies).values(values | {"created_at": NOON}))


def news(engine: Engine, story: str, at: datetime, **about: Any) -> tuple[Firing, ...]:
    """Store a story and evaluate the rules in the same transaction, as ingestion does."""
    with engine.begin() as connection:
        store_story(connection, story, about.pop("published_at", at), seen_at=at, **about)
        return evaluate_rules(connection, at)


def at_time(engine: Engine, now: datetime) -> tuple[Firing, ...]:
    with engine.begin() as connection:
        return evaluate_rules(connection, now)


def test_an_alert_holds_the_rule_the_numbers_and_the_stories_and_is_raised_once(
    engine: Engine,
) -> None:
    one = add_rule(engine, level=-0.4)
    targets = {add_target(engine, "a@example.com"), add_target(engine, "b@example.com")}
    assert len(news(engine, "s1", NOON)) == 1
    assert news(engine, "s2", NOON + MINUTE) == ()
    assert at_time(engine, NOON + HOUR) == ()
    (alert,) = AlertStore(engine).page(now=NOON).alerts
    assert (alert.rule_id, alert.subject, alert.fired_at) == (one.id, "all", NOON)
    assert alert.rule["parameters"]["level"] == -0.4
    assert alert.numbers["index"] == pytest.approx(-0.88 / 1.5)
    assert (alert.story_ids, alert.state) == (("s1",), "open")
    with engine.connect() as connection:
        sent = connection.execute(select(deliveries)).all()
    assert {row.target_id for row in sent} == targets
    assert all(row.next_attempt_at == NOON for row in sent)
    payload = sent[0].payload
    assert payload["event_id"] == sent[0].id
    assert payload["alert"]["stories"][0]["title"] == "Story s1"
    assert payload["alert"]["id"] == alert.id
    assert payload["subject_line"] == "my threshold: all news"
    assert any("https://news.example/s1" in line for line in payload["lines"])


def test_alerts_of_quiet_hours_are_sent_afterwards(engine: Engine) -> None:
    quiet = {"start": "11:00", "end": "14:00", "zone": "UTC"}
    add_rule(engine, level=-0.4, quiet_hours=quiet)
    add_target(engine)
    news(engine, "s1", NOON)
    with engine.connect() as connection:
        (row,) = connection.execute(select(deliveries)).all()
    assert row.next_attempt_at == NOON + 2 * HOUR


def test_alerts_of_a_past_that_is_played_again_are_written_and_not_sent(engine: Engine) -> None:
    add_rule(engine, level=-0.4)
    add_target(engine)
    with engine.begin() as connection:
        store_story(connection, "s1", NOON)
        assert len(evaluate_rules(connection, NOON, send=False)) == 1
    (alert,) = AlertStore(engine).page(now=NOON).alerts
    assert alert.deliveries == ()


def test_what_is_rolled_back_is_raised_by_the_next_one(engine: Engine) -> None:
    add_rule(engine, level=-0.4)
    add_target(engine)

    class Killed(Exception):
        pass

    def interrupted() -> None:
        with engine.begin() as connection:
            store_story(connection, "s1", NOON)
            assert len(evaluate_rules(connection, NOON)) == 1
            raise Killed

    with pytest.raises(Killed):
        interrupted()
    assert AlertStore(engine).page(now=NOON).alerts == ()
    assert len(news(engine, "s1", NOON)) == 1
    assert len(AlertStore(engine).page(now=NOON).alerts) == 1


def test_each_watched_company_has_its_own_alerts_under_its_name(engine: Engine) -> None:
    watch(engine, "acme")
    watch(engine, "bolt")
    add_rule(engine, scope="company:*", level=-0.4)
    add_target(engine)
    about = (("acme", "steel", "negative"), ("bolt", None, "positive"), ("coop", None, "negative"))
    fired = news(engine, "s1", NOON, mood="neutral", companies=about)
    assert [firing.subject for firing in fired] == ["company:acme"]
    with engine.connect() as connection:
        (payload,) = connection.execute(select(deliveries.c.payload)).scalars()
    assert payload["alert"]["subject_name"] == "Acme"


def test_a_burst_is_seen_beside_the_past_weeks_that_are_stored(engine: Engine) -> None:
    add_rule(engine, "burst", "sector:steel", min_stories=3, min_z=2, within_hours=2)
    steel = (("acme", "steel", "negative"),)
    for week in range(1, 5):
        for number in range(week):
            at = NOON - timedelta(days=7 * week) - number * MINUTE
            news(engine, f"w{week}n{number}", at, companies=steel)
    with engine.begin() as connection:
        connection.execute(delete(alerts))
        connection.execute(delete(alert_rule_states))
    for number in range(12):
        news(engine, f"now{number}", NOON + number * MINUTE, companies=steel)
    (alert,) = AlertStore(engine).page(now=NOON).alerts
    assert alert.numbers["weeks"] == 3  # the first news came within the window of four weeks ago
    assert alert.numbers["expected"] == pytest.approx(2.0)
    assert alert.numbers["z"] >= 2
    assert alert.numbers["negative"] == len(alert.story_ids)


def test_an_event_is_told_once_over_restarts_of_the_evaluation(engine: Engine) -> None:
    add_rule(engine, "event", events=["lawsuit"], cooldown_hours=0)
    told = [
        news(engine, "s1", NOON, event="lawsuit"),
        news(engine, "s2", NOON, event="merger"),
        news(engine, "s3", NOON, event="lawsuit"),
        at_time(engine, NOON + HOUR),
        news(engine, "old", NOON + HOUR, event="lawsuit", published_at=NOON - 30 * HOUR),
    ]
    assert [[one.story_ids for one in fired] for fired in told] == [
        [("s1",)],
        [],
        [("s3",)],
        [],
        [],
    ]


def test_stories_without_a_score_and_stories_of_the_future_do_not_count(engine: Engine) -> None:
    add_rule(engine, level=-0.4)
    assert news(engine, "waiting", NOON, mood=None) == ()
    with engine.begin() as connection:
        store_story(connection, "later", NOON, seen_at=NOON + HOUR)
        assert evaluate_rules(connection, NOON) == ()
    # A feed that dates its story ahead of the present cannot hold it back.
    fired = news(engine, "ahead", NOON + MINUTE, published_at=NOON + 9 * HOUR)
    assert [firing.story_ids for firing in fired] == [("ahead",)]


def test_a_rule_that_no_longer_fits_is_logged_and_stops_no_other(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    broken = add_rule(engine, level=-0.4)
    add_rule(engine, level=-0.3)
    with engine.begin() as connection:
        values = {"parameters": {"level": 7}}
        connection.execute(update(alert_rules).where(alert_rules.c.id == broken.id).values(values))
    with caplog.at_level(logging.ERROR):
        assert len(news(engine, "s1", NOON)) == 1
    assert broken.id in caplog.text


def test_without_rules_or_stories_nothing_happens(engine: Engine) -> None:
    assert at_time(engine, NOON) == ()
    add_rule(engine)
    assert at_time(engine, NOON) == ()


def test_evaluations_at_once_raise_one_alert(engine: Engine) -> None:
    add_rule(engine, level=-0.4, cooldown_hours=0)
    add_rule(engine, "event", events=["lawsuit"], cooldown_hours=0)
    add_target(engine)

    def ingest(number: int) -> int:
        return len(news(engine, f"s{number}", NOON, event="lawsuit"))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ingest, range(12)))
    found = AlertStore(engine).page(now=NOON).alerts
    by_kind = {"threshold": 0, "event": 0}
    for alert in found:
        by_kind[alert.rule["kind"]] += 1
    assert by_kind["threshold"] == 1
    told = [s for alert in found if alert.rule["kind"] == "event" for s in alert.story_ids]
    assert sorted(told) == sorted(f"s{number}" for number in range(12))


minutes = st.integers(0, 20 * 60)
happenings = st.lists(
    st.tuples(
        minutes,
        st.integers(0, 10 * 60),
        st.sampled_from(["negative", "neutral", "positive"]),
        st.sampled_from([None, "acme", "bolt"]),
        st.sampled_from([None, "lawsuit"]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def memory_engine() -> Any:
    opened = open_database("sqlite://")
    watch(opened, "acme")
    add_rule(opened, level=-0.3, rearm=-0.1, cooldown_hours=2, half_life_hours=4)
    add_rule(opened, "fall", points=0.3, within_hours=4, cooldown_hours=1, half_life_hours=4)
    add_rule(opened, "burst", "company:*", min_stories=2, within_hours=3, cooldown_hours=0)
    add_rule(opened, "event", "sector:steel", events=["lawsuit"], cooldown_hours=3)
    yield opened
    opened.dispose()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(happened=happenings)
def test_live_alerts_and_the_backtest_of_what_they_saw_fire_at_the_same_times(
    memory_engine: Engine, happened: list[tuple[int, int, str, str | None, str | None]]
) -> None:
    engine = memory_engine
    with engine.begin() as connection:
        for table in (mentions, stories, alert_rule_states, alerts):
            connection.execute(delete(table))
    hours = [(NOON + HOUR * number, ()) for number in range(1, 25)]
    read = [
        (NOON + timedelta(minutes=one[0]) + timedelta(seconds=1 + number), (one,))
        for number, one in enumerate(happened)
    ]
    live: list[Firing] = []
    for number, (now, entries) in enumerate(sorted(hours + read)):
        with engine.begin() as connection:
            for _, age, mood, company, event in entries:
                about = ((company, "steel", mood),) if company else ()
                published = now - timedelta(minutes=age)
                store_story(
                    connection,
                    f"s{number}",
                    published,
                    mood,
                    seen_at=now,
                    event=event,
                    companies=about,
                )
            live += evaluate_rules(connection, now)
    rules = sorted(RuleStore(engine).list(), key=lambda rule: rule.id)
    replayed = stored_backtest(engine, rules, since=NOON, until=NOON + 24 * HOUR)
    assert replayed == live
    with engine.connect() as connection:
        stored = set(connection.execute(select(alerts.c.id)).scalars())
    assert stored == {firing.id for firing in live}
