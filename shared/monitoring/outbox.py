"""What is to be sent: one delivery of a message to each enabled target, in one transaction.

The finance monitor's rules and the drift check write here; ``delivery`` sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from shared.monitoring.delivery import event_id
from shared.storage.finance_tables import alert_targets, deliveries


def any_target(connection: Connection) -> bool:
    """Whether anybody is to be told."""
    return (
        connection.execute(select(alert_targets.c.id).where(alert_targets.c.enabled)).first()
        is not None
    )


def write_deliveries(
    connection: Connection, alert_id: str, message: Mapping[str, Any], send_at: datetime
) -> int:
    """Write what is to be sent of an alert that is stored; how many deliveries those are.

    ``message`` has a ``type``, a ``subject_line``, ``lines``, and what else the receiver reads.
    """
    targets = connection.execute(
        select(alert_targets).where(alert_targets.c.enabled).order_by(alert_targets.c.id)
    ).all()
    rows = []
    for target in targets:
        event = event_id(alert_id, target.id)
        rows.append(
            {
                "id": event,
                "alert_id": alert_id,
                "target_id": target.id,
                "channel": target.channel,
                "address": target.address,
                "payload": {"event_id": event, **message},
                "attempts": 0,
                "next_attempt_at": send_at,
            }
        )
    if rows:
        connection.execute(insert(deliveries), rows)
    return len(rows)
