"""Alerts by mail (SMTP, RFC 5321), as plain text, one recipient a message.

Nothing of an alert can add a header or a recipient: addresses are checked, and line ends and
control characters in a subject become blanks. The Message-ID is made of the event id: a mailbox
that got a message twice, after a crash between sending and marking, knows the second.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from contextlib import suppress
from datetime import UTC
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import DataError, SettingsError
from shared.monitoring.delivery import NotSent, Outgoing, Sent

LONGEST_ADDRESS = 254
"""RFC 5321, 4.5.3.1.3: a path has 256 characters, angle brackets included."""
LONGEST_SUBJECT = 200
_ADDRESS = re.compile(
    r"(?P<local>[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@(?P<domain>[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*)"
)
_NOT_SHOWN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class MailSettings(BaseSettings):
    """The mail server, from ``TRIPTYCH_SMTP_*`` variables; read when it is made."""

    model_config = SettingsConfigDict(env_prefix="TRIPTYCH_SMTP_", extra="ignore", frozen=True)

    host: str | None = Field(default=None, description="no mail is sent while it is unset")
    port: int = Field(default=587, ge=1, le=65_535)
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`none` only for a server on this machine"
    )
    username: str | None = None
    password: str | None = None
    sender: str = Field(default="triptych@localhost", description="the From address")
    timeout_seconds: float = Field(default=20.0, gt=0, le=60)


class MailSender:
    """Sends through one server; a connection a message. SettingsError: no host, a bad sender."""

    def __init__(
        self, settings: MailSettings, *, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        if settings.host is None:
            raise SettingsError("no mail server is set: set TRIPTYCH_SMTP_HOST")
        try:
            check_mail_address(settings.sender)
        except DataError as error:
            raise SettingsError(f"TRIPTYCH_SMTP_SENDER: {error.message}") from error
        self._host = settings.host
        self._settings = settings
        self._ssl_context = ssl_context

    def send(self, message: Outgoing) -> Sent | NotSent:
        """Hand one message to the server. A recipient that it refuses for good is final."""
        try:
            mail = mail_of(message, self._settings.sender)
        except (DataError, MessageError, ValueError) as error:
            return NotSent(f"no message can be made of it: {error}", final=True)
        try:
            server = self._connected()
        except (smtplib.SMTPException, OSError) as error:
            return NotSent(f"no connection: {_fault(error)}")
        try:
            server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            return NotSent(f"the recipient was refused: {code} {_text(reply)}", final=code >= 500)
        except (smtplib.SMTPException, OSError) as error:
            return NotSent(_fault(error))
        finally:
            _leave(server)
        return Sent()

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        timeout = settings.timeout_seconds
        server: smtplib.SMTP
        if settings.security == "tls":
            server = smtplib.SMTP_SSL(
                self._host, settings.port, timeout=timeout, context=self._context()
            )
        else:
            server = smtplib.SMTP(self._host, settings.port, timeout=timeout)
        try:
            if settings.security == "starttls":
                server.starttls(context=self._context())
            if settings.username is not None:
                server.login(settings.username, settings.password or "")
        except BaseException:
            server.close()
            raise
        return server

    def _context(self) -> ssl.SSLContext:
        return self._ssl_context or ssl.create_default_context()


def check_mail_address(address: str) -> None:
    """DataError unless it is one plain address, such as ``desk@example.com``."""
    if len(address) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
        raise DataError(
            f"{address!r} is no mail address: write one as desk@example.com, without a name,"
            " quotes or line ends",
            address=address,
        )


def mail_of(message: Outgoing, sender: str) -> EmailMessage:
    """The message as it is sent: ``payload`` has a ``subject_line`` and ``lines``.

    DataError where the address is no address.
    """
    check_mail_address(message.address)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address("Triptych", addr_spec=sender)
    mail["To"] = Address(addr_spec=message.address)
    mail["Subject"] = one_line(message.payload.get("subject_line"))[:LONGEST_SUBJECT]
    mail["Date"] = message.sent_at.astimezone(UTC)
    mail["Message-ID"] = f"<{message.event_id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    lines = [one_line(line, indent=True) for line in message.payload.get("lines", ())]
    mail.set_content("\n".join(lines) + "\n")
    return mail


def one_line(value: Any, *, indent: bool = False) -> str:
    """The text with runs of blanks, line ends and control characters made one blank each."""
    text = str(value if value is not None else "")
    begin = text[: len(text) - len(text.lstrip(" "))] if indent else ""
    return begin + _NOT_SHOWN.sub(" ", text).strip()


def _leave(server: smtplib.SMTP) -> None:
    """Say good-bye. What goes wrong now does not undo a message that was taken."""
    with suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


def _fault(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the server answered {error.smtp_code} {_text(error.smtp_error)}"
    return f"{type(error).__name__}: {error}"


def _text(reply: bytes | str) -> str:
    return one_line(reply.decode(errors="replace") if isinstance(reply, bytes) else reply)
