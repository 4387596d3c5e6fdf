"""Deliveries over real sockets: webhooks and mail, retries, killed senders, two senders at once."""

from __future__ import annotations

import json
import random
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, update

from shared.monitoring.delivery import CLAIM, MOST_ATTEMPTS, DeliveryCounts, deliver_due, event_id
from shared.monitoring.mail import MailSender, MailSettings
from shared.monitoring.senders import alert_senders
from shared.monitoring.webhook import verify
from shared.storage.engine import open_database
from shared.storage.finance_tables import alert_targets, alerts, deliveries
from shared.web.addresses import AddressPolicy
from tests.fakes.mail_server import MailServer, mail_server
from tests.fakes.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
LOOPBACK = AddressPolicy(("127.0.0.1",))
NO_MAIL = MailSettings(host=None)
SECRET = "the secret of the desk"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    """What is no matter of the database is tested on one."""
    opened = open_database(f"sqlite:///{tmp_path / 'triptych.sqlite3'}")
    yield opened
    opened.dispose()


def add_target(engine: Engine, address: str, channel: str = "webhook") -> str:
    secret = SECRET if channel == "webhook" else None
    target = f"target-{channel}"
    row = {
        "id": target,
        "channel": channel,
        "address": address,
        "secret": secret,
        "enabled": True,
        "created_at": NOON,
    }
    with engine.begin() as connection:
        connection.execute(insert(alert_targets).values(row))
    return target


def add_events(
    engine: Engine, target: str, address: str, count: int = 1, channel: str = "webhook"
) -> list[str]:
    """Alerts, each with one delivery that is due at noon; gives the event ids."""
    fired, due = [], []
    for number in range(count):
        alert = f"alert{number}"
        event = event_id(alert, target)
        fired.append(
            {
                "id": alert,
                "rule_id": "r",
                "rule": {"name": "r"},
                "subject": "all",
                "fired_at": NOON,
                "numbers": {"index": -0.5},
                "story_ids": [],
                "state": "open",
                "note": "",
            }
        )
        payload = {
            "event_id": event,
            "subject_line": "Fall: all news",
            "lines": [f"number {number}", ".", "..and more"],
            "alert": {"id": alert, "index": -0.1},
        }
        due.append(
            {
                "id": event,
                "alert_id": alert,
                "target_id": target,
                "channel": channel,
                "address": address,
                "payload": payload,
                "attempts": 0,
                "next_attempt_at": NOON,
            }
        )
    with engine.begin() as connection:
        connection.execute(insert(alerts), fired)
        connection.execute(insert(deliveries), due)
    return [row["id"] for row in due]


def deliver(
    engine: Engine, now: datetime, policy: AddressPolicy = LOOPBACK, mail: MailSettings = NO_MAIL
) -> DeliveryCounts:
    with alert_senders(policy, mail) as senders:
        return deliver_due(engine, now, senders)


def rows(engine: Engine) -> list:  # type: ignore[type-arg]
    with engine.connect() as connection:
        return list(connection.execute(select(deliveries).order_by(deliveries.c.id)))


def test_an_event_arrives_once_signed_and_is_marked(engine: Engine) -> None:
    with webhook_receiver() as receiver:
        address = f"{receiver.url}/hook?team=risk"
        (event,) = add_events(engine, add_target(engine, address), address)
        assert deliver(engine, NOON - timedelta(seconds=1)) == DeliveryCounts()
        assert deliver(engine, NOON) == DeliveryCounts(delivered=1)
        assert deliver(engine, NOON + timedelta(days=1)) == DeliveryCounts()
    (got,) = receiver.received
    assert (got.path, got.event_id, got.key) == ("/hook?team=risk", event, event)
    assert json.loads(got.body)["event_id"] == event
    assert verify(got.body, got.signature, SECRET, NOON + timedelta(seconds=2))
    (row,) = rows(engine)
    assert row.delivered_at - NOON < timedelta(seconds=30)
    assert (row.attempts, row.next_attempt_at, row.last_error) == (1, None, None)


def test_a_retry_is_the_same_event_and_the_same_bytes_after_a_growing_wait(engine: Engine) -> None:
    with webhook_receiver() as receiver:
        receiver.answers = [(500, {}), (429, {"Retry-After": "600"})]
        (event,) = add_events(engine, add_target(engine, receiver.url), receiver.url)
        now, waits = NOON, []
        for _ in range(2):
            assert deliver(engine, now) == DeliveryCounts(failed=1)
            (row,) = rows(engine)
            waits.append((row.next_attempt_at - now).total_seconds())
            assert deliver(engine, row.next_attempt_at - timedelta(seconds=1)) == DeliveryCounts()
            now = row.next_attempt_at
        assert row.last_error == "it answered 429"
        assert deliver(engine, now) == DeliveryCounts(delivered=1)
    assert waits == pytest.approx([30, 600], abs=5)
    assert receiver.event_ids == [event] * 3
    assert {got.key for got in receiver.received} == {event}
    assert len({got.body for got in receiver.received}) == 1
    assert len({got.signature for got in receiver.received}) == 3


def test_a_receiver_that_is_down_waits_and_stops_no_other(sqlite: Engine) -> None:
    with webhook_receiver() as receiver:
        down = "http://127.0.0.1:1/"
        events = add_events(sqlite, add_target(sqlite, receiver.url), receiver.url, 4)
        with sqlite.begin() as connection:
            broken = deliveries.c.id.in_(events[:2])
            connection.execute(update(deliveries).where(broken).values(address=down))
        # Of two events to the address that failed, the second waits for the next round.
        assert deliver(sqlite, NOON) == DeliveryCounts(delivered=2, failed=1)
    assert sorted(row.attempts for row in rows(sqlite) if row.address == down) == [0, 1]
    assert sorted(receiver.event_ids) == sorted(events[2:])


def test_a_redirect_is_not_followed(sqlite: Engine) -> None:
    with webhook_receiver() as receiver, webhook_receiver() as other:
        receiver.answers = [(307, {"Location": other.url})]
        add_events(sqlite, add_target(sqlite, receiver.url), receiver.url)
        assert deliver(sqlite, NOON) == DeliveryCounts(failed=1)
    assert "redirect" in rows(sqlite)[0].last_error
    assert other.received == []


def test_the_address_is_checked_at_each_delivery(sqlite: Engine) -> None:
    with webhook_receiver() as receiver:
        add_events(sqlite, add_target(sqlite, receiver.url), receiver.url)
        assert deliver(sqlite, NOON, AddressPolicy()) == DeliveryCounts(failed=1)
        assert receiver.received == []
        (row,) = rows(sqlite)
        assert "not a public address" in row.last_error
        assert deliver(sqlite, row.next_attempt_at) == DeliveryCounts(delivered=1)


def test_what_can_never_arrive_is_given_up(sqlite: Engine) -> None:
    with webhook_receiver() as receiver:
        receiver.answers = [(410, {})]
        add_events(sqlite, add_target(sqlite, receiver.url), receiver.url)
        assert deliver(sqlite, NOON) == DeliveryCounts(given_up=1)
        assert deliver(sqlite, NOON + timedelta(days=30)) == DeliveryCounts()
    assert len(receiver.received) == 1


def test_after_many_attempts_it_is_given_up(engine: Engine) -> None:
    with webhook_receiver() as receiver:
        receiver.answers = [(500, {})]
        add_events(engine, add_target(engine, receiver.url), receiver.url)
        with engine.begin() as connection:
            connection.execute(update(deliveries).values(attempts=MOST_ATTEMPTS - 1))
        assert deliver(engine, NOON) == DeliveryCounts(given_up=1)
    (row,) = rows(engine)
    assert (row.attempts, row.next_attempt_at, row.delivered_at) == (MOST_ATTEMPTS, None, None)


def test_nothing_goes_to_a_target_that_was_removed(sqlite: Engine) -> None:
    with webhook_receiver() as receiver:
        add_events(sqlite, add_target(sqlite, receiver.url), receiver.url)
        with sqlite.begin() as connection:
            connection.execute(update(alert_targets).values(enabled=False))
        assert deliver(sqlite, NOON) == DeliveryCounts(given_up=1)
    assert receiver.received == []


def test_a_clock_that_was_set_back_holds_nothing_for_years(sqlite: Engine) -> None:
    with webhook_receiver() as receiver:
        add_events(sqlite, add_target(sqlite, receiver.url), receiver.url)
        with sqlite.begin() as connection:
            future = NOON + timedelta(days=3650)
            connection.execute(update(deliveries).values(next_attempt_at=future))
        assert deliver(sqlite, NOON) == DeliveryCounts(delivered=1)


def test_of_several_senders_at_once_one_sends_each_event(engine: Engine) -> None:
    with webhook_receiver() as receiver:
        receiver.seconds = 0.005
        events = add_events(engine, add_target(engine, receiver.url), receiver.url, 12)
        with ThreadPoolExecutor(3) as pool:
            counts = list(pool.map(lambda _: deliver(engine, NOON), range(3)))
    assert sum(one.delivered for one in counts) == len(events)
    assert sorted(receiver.event_ids) == sorted(events)


SENDER = """
import sys
from datetime import datetime
from shared.monitoring.senders import alert_senders
from shared.monitoring.delivery import deliver_due
from shared.monitoring.mail import MailSender, MailSettings
from shared.storage.engine import open_database
from shared.web.addresses import AddressPolicy
engine = open_database(sys.argv[1])
with alert_senders(AddressPolicy(("127.0.0.1",)), MailSettings(host=None)) as senders:
    deliver_due(engine, datetime.fromisoformat(sys.argv[2]), senders)
"""


def test_senders_that_are_killed_lose_nothing_and_repeat_only_what_was_under_way(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'triptych.sqlite3'}"
    engine = open_database(url)
    chance = random.Random(7)
    killed = 0
    with webhook_receiver() as receiver:
        receiver.seconds = 0.02
        events = add_events(engine, add_target(engine, receiver.url), receiver.url, 70)
        now = NOON
        for _ in range(10):
            target = len(receiver.received) + chance.randint(1, 4)
            process = subprocess.Popen([sys.executable, "-c", SENDER, url, str(now)], cwd=ROOT)
            while len(receiver.received) < target and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.random() * 0.03)
            process.send_signal(signal.SIGKILL)
            killed += process.wait(timeout=30) == -signal.SIGKILL
            now += 2 * CLAIM
        waiting = [row.id for row in rows(engine) if row.delivered_at is None]
        assert killed == 10
        assert waiting
        deliver(engine, now)
        ids = receiver.event_ids
    assert set(ids) == set(events)
    assert len(ids) <= len(events) + killed
    assert all(row.delivered_at is not None for row in rows(engine))
    for event in events:
        same = [got for got in receiver.received if got.event_id == event]
        assert {(got.key, got.body) for got in same} == {(event, same[0].body)}
    engine.dispose()


def mail_settings(server: MailServer, **changes: object) -> MailSettings:
    values = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "sender": "monitor@triptych.example",
        "timeout_seconds": 5,
    }
    return MailSettings.model_validate(values | changes)


def mail_event(engine: Engine) -> str:
    address = "desk@example.com"
    return add_events(engine, add_target(engine, address, "email"), address, 1, "email")[0]


def test_mail_arrives_with_its_words(sqlite: Engine) -> None:
    event = mail_event(sqlite)
    with mail_server() as server:
        server.offers_login = True
        settings = mail_settings(server, username="u", password="right")
        assert deliver(sqlite, NOON, mail=settings) == DeliveryCounts(delivered=1)
        assert deliver(sqlite, NOON + timedelta(days=1), mail=settings) == DeliveryCounts()
    (got,) = server.received
    assert (got.sender, got.recipients) == ("monitor@triptych.example", ("desk@example.com",))
    mail = message_from_bytes(got.data, policy=default)
    assert mail["Subject"] == "Fall: all news"
    assert mail["Message-ID"] == f"<{event}@triptych.example>"
    assert mail.get_content().splitlines() == ["number 0", ".", "..and more"]
    assert server.logins == [("u", "right")]


def test_a_message_that_was_taken_counts_even_if_the_server_hangs_up(sqlite: Engine) -> None:
    mail_event(sqlite)
    with mail_server() as server:
        server.drop_after_data = True
        assert deliver(sqlite, NOON, mail=mail_settings(server)) == DeliveryCounts(delivered=1)
    assert len(server.received) == 1


def test_a_refusal_for_now_is_tried_again_and_one_for_good_is_not(sqlite: Engine) -> None:
    mail_event(sqlite)
    with mail_server() as server:
        settings = mail_settings(server)
        server.refuse_data = "451 later"
        assert deliver(sqlite, NOON, mail=settings) == DeliveryCounts(failed=1)
        assert rows(sqlite)[0].last_error == "the server answered 451 later"
        server.refuse_data, server.refuse_recipient = None, "550 no such user"
        later = NOON + timedelta(hours=1)
        assert deliver(sqlite, later, mail=settings) == DeliveryCounts(given_up=1)
    assert "550 no such user" in rows(sqlite)[0].last_error
    assert server.received == []


def test_nothing_is_sent_in_the_clear_where_encryption_was_asked_for(sqlite: Engine) -> None:
    mail_event(sqlite)
    with mail_server() as server:
        settings = mail_settings(server, security="starttls", username="u", password="right")
        assert deliver(sqlite, NOON, mail=settings) == DeliveryCounts(failed=1)
    assert "STARTTLS" in rows(sqlite)[0].last_error
    assert (server.received, server.logins) == ([], [])


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of our own for this machine, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    file = tmp_path / "server.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{file}.key", "-out", str(file)]
    with (tmp_path / "openssl.log").open("wb") as log:
        subprocess.run([openssl, *made, *names], check=True, stderr=log)
    return file


def test_mail_is_encrypted_for_a_server_that_is_the_one_it_says(
    sqlite: Engine, certificate: Path
) -> None:
    mail_event(sqlite)
    with mail_server() as server:
        server.encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.encryption.load_cert_chain(certificate, f"{certificate}.key")
        settings = mail_settings(server, security="starttls")
        # The system does not know who signed it: nothing is sent.
        assert deliver(sqlite, NOON, mail=settings) == DeliveryCounts(failed=1)
        assert "CERTIFICATE_VERIFY_FAILED" in rows(sqlite)[0].last_error
        trusting = MailSender(settings, ssl_context=ssl.create_default_context(cafile=certificate))
        later = NOON + timedelta(hours=1)
        assert deliver_due(sqlite, later, {"email": trusting}) == DeliveryCounts(delivered=1)
    assert (len(server.received), server.encrypted) == (1, 1)


def test_mail_waits_until_there_is_a_server(sqlite: Engine) -> None:
    mail_event(sqlite)
    assert deliver(sqlite, NOON) == DeliveryCounts()
    with mail_server() as server:
        assert deliver(sqlite, NOON, mail=mail_settings(server)) == DeliveryCounts(delivered=1)
