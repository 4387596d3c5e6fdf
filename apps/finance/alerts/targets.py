"""Where alerts are sent: webhooks and mail addresses, checked when they are added."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, insert, select

from shared.api.finance_alerts import CHANNELS, Channel
from shared.errors import Conflict, DataError, NotFound
from shared.monitoring.mail import check_mail_address
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.finance_tables import alert_targets
from shared.web.addresses import AddressPolicy, default_port
from shared.web.connections import Resolve, system_addresses

RESOLVE_SECONDS = 5.0
SHORTEST_SECRET = 16


@dataclass(frozen=True, slots=True)
class AlertTarget:
    """An address that is told of alerts. ``secret`` signs webhooks; it is never shown again."""

    id: str
    channel: Channel
    address: str
    secret: str | None
    enabled: bool
    created_at: datetime


class TargetStore:
    """Add, list and remove targets."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> tuple[AlertTarget, ...]:
        """All targets, the oldest first."""
        query = select(alert_targets).order_by(alert_targets.c.created_at, alert_targets.c.id)
        with reading(self._engine) as connection:
            return tuple(AlertTarget(**row._mapping) for row in connection.execute(query))

    def add(
        self,
        *,
        channel: str,
        address: str,
        policy: AddressPolicy,
        author: str,
        now: datetime,
        secret: str | None = None,
        resolve: Resolve = system_addresses,
    ) -> AlertTarget:
        """Send the alerts of the future there too.

        A webhook's address goes through the checks of feeds, all addresses of its name included,
        and through them again at each delivery; without a ``secret`` it gets a random one.
        AddressRefused (a DataError), DataError or Conflict say why not.
        """
        kind = next((name for name in CHANNELS if name == channel), None)
        if kind == "webhook":
            check_webhook(address, policy, resolve)
            secret = secret if secret is not None else secrets.token_urlsafe(32)
            if len(secret) < SHORTEST_SECRET:
                raise DataError(f"a secret has at least {SHORTEST_SECRET} characters")
        elif kind == "email":
            check_mail_address(address)
            if secret is not None:
                raise DataError("mail is not signed: leave the secret out")
        else:
            raise DataError(f"{channel!r} is no channel: {', '.join(CHANNELS)}", channel=channel)
        target = AlertTarget(uuid.uuid4().hex, kind, address, secret, True, now)
        same = (alert_targets.c.channel == channel, alert_targets.c.address == address)
        with self._engine.begin() as connection:
            if connection.execute(select(alert_targets.c.id).where(*same)).first() is not None:
                raise Conflict(f"{address} is told of alerts already", address=address)
            values = {name: getattr(target, name) for name in AlertTarget.__slots__}
            connection.execute(insert(alert_targets).values(values))
            details = {"target": target.id, "channel": channel, "address": address}
            record(connection, actor=author, action="alert_target_added", details=details, at=now)
        return target

    def remove(self, target_id: str, *, author: str, now: datetime) -> None:
        """Send no more alerts there, not even those that wait. NotFound: no such target."""
        gone = delete(alert_targets).where(alert_targets.c.id == target_id)
        with self._engine.begin() as connection:
            if not connection.execute(gone).rowcount:
                raise NotFound(f"there is no alert target {target_id}", target_id=target_id)
            details = {"target": target_id}
            record(connection, actor=author, action="alert_target_removed", details=details, at=now)


def check_webhook(address: str, policy: AddressPolicy, resolve: Resolve) -> None:
    """AddressRefused where the address may not be called, DataError where its name is not known."""
    import httpx2

    policy.check_url(address)
    url = httpx2.URL(address)
    port = url.port or default_port(url.scheme)
    host = url.raw_host.decode("ascii")
    try:
        addresses = resolve(host, port, RESOLVE_SECONDS)
    except OSError as error:
        raise DataError(f"the name {host} is not known: {error}", host=host) from error
    for one in addresses:
        policy.check_ip(one, host, port)
