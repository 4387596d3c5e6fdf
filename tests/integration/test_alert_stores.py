"""Rules, alerts and targets as people change them, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, select

from apps.finance.alerts.rule_store import RuleStore
from apps.finance.alerts.store import Alert, AlertStore
from apps.finance.alerts.targets import TargetStore
from shared.errors import AddressRefused, Conflict, DataError, NotFound
from shared.storage.engine import open_database
from shared.storage.finance_tables import alert_rule_states, alerts, deliveries
from shared.storage.tables import audit_log
from shared.web.addresses import AddressPolicy

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def empty() -> Iterator[Engine]:
    """For what is refused before anything is written."""
    opened = open_database("sqlite://")
    yield opened
    opened.dispose()


def add_alerts(engine: Engine, count: int = 1) -> list[str]:
    """Alerts, two of each moment, the newest last."""
    rows = [
        {
            "id": f"alert{number:03}",
            "rule_id": "r",
            "rule": {"name": "r", "kind": "fall"},
            "subject": "all" if number % 2 else "company:acme",
            "fired_at": NOON + (number // 2) * HOUR,
            "numbers": {"fall": 0.5},
            "story_ids": ["s1", "s2"],
            "state": "open",
            "note": "",
        }
        for number in range(count)
    ]
    with engine.begin() as connection:
        connection.execute(insert(alerts), rows)
    return [row["id"] for row in rows]


def audit(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(select(audit_log).order_by(audit_log.c.id))
        return [(row.actor, row.action) for row in rows]


def test_pages_of_alerts_go_back_in_time_and_miss_none(engine: Engine) -> None:
    ids = add_alerts(engine, 7)
    store, found, cursor = AlertStore(engine), [], None
    for size in (2, 2, 2, 1):
        page = store.page(now=NOON, cursor=cursor, limit=2)
        assert len(page.alerts) == size
        found += [alert.id for alert in page.alerts]
        cursor = page.next_cursor
    assert cursor is None
    assert found == ids[::-1]
    mine = store.page(now=NOON, subject="company:acme")
    assert [alert.id for alert in mine.alerts] == ids[6::-2]


@pytest.mark.parametrize("cursor", ["", "x", "é", "!!!!", "MjAyNi0wMS0wMSBh", "MjAyNi0wMS0wMQ=="])
def test_a_cursor_that_is_none_is_refused(empty: Engine, cursor: str) -> None:
    with pytest.raises(DataError, match="cursor"):
        AlertStore(empty).page(now=NOON, cursor=cursor)


def states(alert: Alert) -> tuple[str, str | None, datetime | None, str]:
    return alert.state, alert.changed_by, alert.changed_at, alert.note


def test_an_alert_is_acknowledged_snoozed_and_closed(engine: Engine) -> None:
    (one,) = add_alerts(engine)
    store = AlertStore(engine)
    taken = store.acknowledge(one, author="Ada", now=NOON, note="I look at it")
    assert states(taken) == ("acknowledged", "Ada", NOON, "I look at it")
    with pytest.raises(Conflict, match="was acknowledged before, by Ada"):
        store.acknowledge(one, author="Bob", now=NOON)
    aside = store.snooze(one, NOON + 2 * HOUR, author="Bob", now=NOON)
    assert (aside.state, aside.snoozed_until) == ("snoozed", NOON + 2 * HOUR)
    assert aside.note == "I look at it"
    done = store.close(one, author="Cy", now=NOON + HOUR, note="settled")
    assert states(done) == ("closed", "Cy", NOON + HOUR, "settled")
    assert done.snoozed_until is None
    for change in (
        lambda: store.close(one, author="Di", now=NOON),
        lambda: store.acknowledge(one, author="Di", now=NOON),
        lambda: store.snooze(one, NOON + HOUR, author="Di", now=NOON),
    ):
        with pytest.raises(Conflict, match="was closed before, by Cy"):
            change()
    assert audit(engine) == [(name, "alert_changed") for name in ("Ada", "Bob", "Cy")]


def test_a_snoozed_alert_is_open_again_once_its_time_is_over(engine: Engine) -> None:
    one, other = add_alerts(engine, 2)
    store = AlertStore(engine)
    store.snooze(one, NOON + HOUR, author="Ada", now=NOON)

    def listed(state: str, now: datetime) -> list[str]:
        page = store.page(now=now, state=state)  # type: ignore[arg-type]
        return [alert.id for alert in page.alerts]

    soon, later = NOON + HOUR / 2, NOON + HOUR
    assert (listed("snoozed", soon), listed("open", soon)) == ([one], [other])
    assert (listed("snoozed", later), listed("open", later)) == ([], [other, one])
    again = store.get(one, now=later)
    assert (again.state, again.snoozed_until) == ("open", None)
    assert store.acknowledge(one, author="Bob", now=later).state == "acknowledged"


def test_what_cannot_be_done_is_said(engine: Engine) -> None:
    (one,) = add_alerts(engine)
    store = AlertStore(engine)
    with pytest.raises(DataError, match="has passed"):
        store.snooze(one, NOON, author="Ada", now=NOON)
    with pytest.raises(DataError, match="2,000 characters"):
        store.close(one, author="Ada", now=NOON, note="n" * 2_001)
    with pytest.raises(NotFound, match="no alert nothing"):
        store.close("nothing", author="Ada", now=NOON)
    with pytest.raises(NotFound):
        store.get("nothing", now=NOON)


def test_of_two_people_at_once_one_has_the_alert(engine: Engine) -> None:
    (one,) = add_alerts(engine)
    store = AlertStore(engine)

    def take(author: str) -> bool:
        try:
            store.acknowledge(one, author=author, now=NOON)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(take, ["Ada", "Bob", "Cy", "Di"])) == 1


def test_an_alert_shows_how_far_it_got(engine: Engine) -> None:
    (one,) = add_alerts(engine)
    row = {
        "id": "event",
        "alert_id": one,
        "target_id": "t",
        "channel": "webhook",
        "address": "https://desk.example/",
        "payload": {},
        "attempts": 2,
        "next_attempt_at": NOON,
        "last_error": "it answered 500",
    }
    with engine.begin() as connection:
        connection.execute(insert(deliveries).values(row))
    (way,) = AlertStore(engine).get(one, now=NOON).deliveries
    assert (way.event_id, way.attempts, way.last_error) == ("event", 2, "it answered 500")
    assert (way.next_attempt_at, way.delivered_at) == (NOON, None)


def test_rules_come_and_go_and_every_change_is_recorded(engine: Engine) -> None:
    store = RuleStore(engine)
    first = store.add(
        name="low", kind="threshold", scope="all", parameters={}, author="Ada", now=NOON
    )
    events = {"events": ["lawsuit"]}
    second = store.add(
        name="suits",
        kind="event",
        scope="company:*",
        parameters=events,
        author="Bob",
        now=NOON + HOUR,
        enabled=False,
    )
    assert store.list() == (second, first)
    assert store.get(first.id) == first
    assert store.switch(second.id, enabled=True, author="Cy", now=NOON).enabled
    with engine.begin() as connection:
        state = {"rule_id": first.id, "subject": "all", "armed": False, "last_fired_at": NOON}
        connection.execute(insert(alert_rule_states).values(state))
    store.remove(first.id, author="Di", now=NOON)
    assert [rule.id for rule in store.list()] == [second.id]
    with engine.connect() as connection:
        assert connection.execute(select(alert_rule_states)).all() == []
    assert audit(engine) == [
        ("Ada", "alert_rule_added"),
        ("Bob", "alert_rule_added"),
        ("Cy", "alert_rule_enabled"),
        ("Di", "alert_rule_removed"),
    ]
    for missing in (
        lambda: store.get(first.id),
        lambda: store.switch(first.id, enabled=True, author="Di", now=NOON),
        lambda: store.remove(first.id, author="Di", now=NOON),
    ):
        with pytest.raises(NotFound, match="no alert rule"):
            missing()
    with pytest.raises(DataError):
        store.add(name="x", kind="fall", scope="mars", parameters={}, author="Ada", now=NOON)


PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.7"


def resolver(*addresses: str) -> object:
    def resolve(host: str, port: int, seconds: float | None) -> list[str]:
        if not addresses:
            raise OSError("no such host")
        return list(addresses)

    return resolve


def add(engine: Engine, address: str, channel: str = "webhook", **options: object) -> object:
    values = {"policy": AddressPolicy(), "resolve": resolver(PUBLIC), **options}
    return TargetStore(engine).add(
        channel=channel,
        address=address,
        author="Ada",
        now=NOON,
        **values,  # type: ignore[arg-type]
    )


def test_targets_come_and_go(engine: Engine) -> None:
    store = TargetStore(engine)
    add(engine, "https://desk.example/hook")
    add(engine, "https://other.example/", secret="sixteen or longer")
    add(engine, "desk@example.com", "email")
    hook, other, mail = sorted(
        store.list(),
        key=lambda one: ("desk.", "other", "desk@").index(one.address.removeprefix("https://")[:5]),
    )
    assert hook.secret is not None
    assert len(hook.secret) >= 40
    assert (other.secret, mail.secret) == ("sixteen or longer", None)
    with pytest.raises(Conflict, match="already"):
        add(engine, "desk@example.com", "email")
    store.remove(hook.id, author="Bob", now=NOON)
    assert {one.id for one in store.list()} == {other.id, mail.id}
    with pytest.raises(NotFound):
        store.remove(hook.id, author="Bob", now=NOON)
    assert audit(engine)[-1] == ("Bob", "alert_target_removed")


@pytest.mark.parametrize(
    ("address", "options", "error"),
    [
        ("http://127.0.0.1/hook", {}, AddressRefused),
        ("http://169.254.169.254/", {}, AddressRefused),
        ("https://user:pass@desk.example/", {}, AddressRefused),
        ("ftp://desk.example/", {}, AddressRefused),
        ("https://desk.example/\r\nX: y", {}, AddressRefused),
        ("https://desk.example/", {"resolve": resolver(PRIVATE)}, AddressRefused),
        ("https://desk.example/", {"resolve": resolver(PUBLIC, PRIVATE)}, AddressRefused),
        ("https://desk.example/", {"resolve": resolver()}, DataError),
        ("https://desk.example/", {"secret": "short"}, DataError),
        ("https://desk.example/", {"channel": "pigeon"}, DataError),
        ("desk@example.com\nBcc: x@example.com", {"channel": "email"}, DataError),
        ("desk@example.com", {"channel": "email", "secret": "s" * 20}, DataError),
    ],
)
def test_targets_that_may_not_be_called_are_refused(
    empty: Engine, address: str, options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        add(empty, address, **options)  # type: ignore[arg-type]
    assert TargetStore(empty).list() == ()


def test_an_intranet_that_is_allowed_may_be_called(engine: Engine) -> None:
    policy = AddressPolicy(("10.0.0.0/8",))
    add(engine, "http://hooks.intranet/", policy=policy, resolve=resolver(PRIVATE))
    assert len(TargetStore(engine).list()) == 1
