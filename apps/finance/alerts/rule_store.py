"""Alert rules in the database. Each change is written to the audit log."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from apps.finance.alerts.rules import AlertRule, make_rule
from shared.errors import DataError, NotFound
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.finance_tables import alert_rules

logger = logging.getLogger(__name__)


def rule_of(row: Row[Any]) -> AlertRule:
    """The rule of a table row. DataError where its parameters do not fit this version."""
    return make_rule(**row._mapping)


def rules_of(rows: Iterable[Row[Any]]) -> Iterator[AlertRule]:
    """The rules of table rows; one that no longer fits this version is logged and left out."""
    for row in rows:
        try:
            yield rule_of(row)
        except DataError as error:
            logger.error("alert rule %s (%s) is left out: %s", row.id, row.name, error.message)


class RuleStore:
    """Add, list, switch and remove rules."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> tuple[AlertRule, ...]:
        """All rules, the newest first."""
        newest = (alert_rules.c.created_at.desc(), alert_rules.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(select(alert_rules).order_by(*newest)).all()
        return tuple(rules_of(rows))

    def get(self, rule_id: str) -> AlertRule:
        """One rule. NotFound where there is none of that id."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(alert_rules).where(alert_rules.c.id == rule_id)
            ).one_or_none()
        if row is None:
            raise _not_found(rule_id)
        return rule_of(row)

    def add(
        self,
        *,
        name: str,
        kind: str,
        scope: str,
        parameters: Mapping[str, Any],
        author: str,
        now: datetime,
        enabled: bool = True,
    ) -> AlertRule:
        """A new rule, ready to fire. DataError says what is wrong with it."""
        rule = make_rule(
            id=uuid.uuid4().hex,
            name=name,
            kind=kind,
            scope=scope,
            parameters=parameters,
            enabled=enabled,
            author=author[:120],
            created_at=now,
        )
        values = rule.as_json() | {"enabled": enabled, "created_at": now}
        with self._engine.begin() as connection:
            connection.execute(insert(alert_rules).values(values))
            details = {"rule": rule.id, "name": rule.name}
            record(connection, actor=author, action="alert_rule_added", details=details, at=now)
        return rule

    def switch(self, rule_id: str, *, enabled: bool, author: str, now: datetime) -> AlertRule:
        """Let a rule fire, or not. NotFound where there is none of that id."""
        change = update(alert_rules).where(alert_rules.c.id == rule_id).values(enabled=enabled)
        action = "alert_rule_enabled" if enabled else "alert_rule_disabled"
        with self._engine.begin() as connection:
            if not connection.execute(change).rowcount:
                raise _not_found(rule_id)
            record(connection, actor=author, action=action, details={"rule": rule_id}, at=now)
        return self.get(rule_id)

    def remove(self, rule_id: str, *, author: str, now: datetime) -> None:
        """Forget a rule; its alerts stay, with the rule as it was. NotFound as above."""
        gone = delete(alert_rules).where(alert_rules.c.id == rule_id)
        with self._engine.begin() as connection:
            if not connection.execute(gone).rowcount:
                raise _not_found(rule_id)
            details = {"rule": rule_id}
            record(connection, actor=author, action="alert_rule_removed", details=details, at=now)


def _not_found(rule_id: str) -> NotFound:
    return NotFound(f"there is no alert rule {rule_id}", rule_id=rule_id)
