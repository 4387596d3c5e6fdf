"""The channels that alerts are sent by, wired to this installation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.monitoring.delivery import Sender
from shared.monitoring.mail import MailSender, MailSettings
from shared.monitoring.webhook import WebhookSender
from shared.web.addresses import AddressPolicy
from shared.web.client import guarded_client, user_agent

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0


@contextmanager
def alert_senders(policy: AddressPolicy, mail: MailSettings) -> Iterator[dict[str, Sender]]:
    """Senders by channel for ``deliver_due``, closed at the end.

    Webhooks go only where ``policy`` allows. Without a mail server there is no ``email``:
    its deliveries wait until one is set.
    """
    with guarded_client(
        policy,
        user_agent=user_agent("alerts"),
        connect_timeout=CONNECT_SECONDS,
        total_timeout=TOTAL_SECONDS,
    ) as client:
        senders: dict[str, Sender] = {"webhook": WebhookSender(client)}
        if mail.host is not None:
            senders["email"] = MailSender(mail)
        yield senders
