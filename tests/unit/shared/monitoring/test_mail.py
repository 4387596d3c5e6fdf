"""Mail: what a message looks like, and what nobody can put into it."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import DataError, SettingsError
from shared.monitoring.delivery import NotSent, Outgoing
from shared.monitoring.mail import MailSender, MailSettings, check_mail_address, mail_of

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
SENDER = "monitor@triptych.example"


def outgoing(address: str = "desk@example.com", **payload: Any) -> Outgoing:
    return Outgoing("e" * 32, address, None, payload, NOON)


def parsed(message: Outgoing) -> Any:
    return message_from_bytes(mail_of(message, SENDER).as_bytes(), policy=default)


def test_a_message_says_what_happened_and_is_known_again() -> None:
    lines = ["Größe AG, 2026-03-18 12:00 UTC", "- A story", "  https://news.example/a"]
    mail = parsed(outgoing(subject_line="Fall: Größe AG", lines=lines))
    assert mail["To"] == "desk@example.com"
    assert mail["From"] == f"Triptych <{SENDER}>"
    assert mail["Subject"] == "Fall: Größe AG"
    assert mail["Message-ID"] == f"<{'e' * 32}@triptych.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == NOON
    assert mail.get_content().splitlines() == lines


def test_an_empty_payload_is_an_empty_message() -> None:
    mail = parsed(outgoing())
    assert mail["Subject"] == ""
    assert mail.get_content().strip() == ""


@pytest.mark.parametrize(
    "address",
    [
        "desk@example.com\r\nBcc: all@example.com",
        "desk@example.com\n",
        "desk@example.com, other@example.com",
        "Desk <desk@example.com>",
        '"a b"@example.com',
        "desk",
        "@example.com",
        "desk@",
        "desk@-example.com",
        "desk@example..com",
        "de sk@example.com",
        "desk@exam\x00ple.com",
        "désk@example.com",
        f"{'d' * 250}@example.com",
    ],
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(DataError, match="no mail address"):
        check_mail_address(address)
    with pytest.raises(DataError):
        mail_of(outgoing(address), SENDER)


@pytest.mark.parametrize("address", ["a@b", "first.last+tag@mail.example.co.uk", "o'hara@x.org"])
def test_plain_addresses_are_taken(address: str) -> None:
    check_mail_address(address)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.lists(st.text(max_size=100), max_size=3))
def test_no_words_add_a_header_or_a_recipient(subject: str, lines: list[str]) -> None:
    plain = parsed(outgoing(subject_line="s", lines=["l"]))
    mail = parsed(outgoing(subject_line=subject, lines=lines))
    # Words beyond ASCII may change how the body is encoded, and nothing else.
    assert set(mail.keys()) == set(plain.keys())
    assert mail["To"] == plain["To"]
    assert len(mail.get_all("Subject")) == 1


def test_a_line_end_in_a_subject_is_a_blank() -> None:
    mail = parsed(outgoing(subject_line="Fall\r\nBcc: all@example.com\r\n\r\nbody"))
    assert mail["Subject"] == "Fall Bcc: all@example.com body"
    assert mail["Bcc"] is None


def test_a_server_that_is_not_there_is_an_outcome() -> None:
    mail = MailSettings(host="127.0.0.1", port=1, security="none", timeout_seconds=2)
    outcome = MailSender(mail).send(outgoing(subject_line="s"))
    assert isinstance(outcome, NotSent)
    assert outcome.reason.startswith("no connection: ConnectionRefusedError")
    assert not outcome.final


def test_a_bad_address_is_given_up_before_any_connection() -> None:
    mail = MailSettings(host="127.0.0.1", port=1, security="none")
    outcome = MailSender(mail).send(outgoing("desk@example.com\nBcc: x@example.com"))
    assert isinstance(outcome, NotSent)
    assert outcome.final


def test_settings_that_cannot_work_are_said_at_once() -> None:
    with pytest.raises(SettingsError, match="TRIPTYCH_SMTP_HOST"):
        MailSender(MailSettings(host=None))
    with pytest.raises(SettingsError, match="TRIPTYCH_SMTP_SENDER"):
        MailSender(MailSettings(host="mail.example", sender="Triptych <t@example.com>"))
