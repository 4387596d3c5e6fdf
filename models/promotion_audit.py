"""Promotions in the audit log, where no route of the API writes them."""

from __future__ import annotations

from models.promotion_history import Promotion
from shared.command_line import actor_name
from shared.settings import Settings
from shared.storage.audit import record
from shared.storage.engine import open_database


def note_promotion(settings: Settings, promotion: Promotion) -> None:
    """Write a promotion or roll-back that a command made; the registry keeps it in any case."""
    engine = open_database(settings.database)
    try:
        details = {
            "app": promotion.app,
            "version": promotion.version,
            "previous": promotion.previous,
            "forced": promotion.forced,
            "reason": promotion.reason,
            "by": actor_name(),
        }
        action = f"model {promotion.kind}"
        with engine.begin() as connection:
            record(
                connection,
                actor=promotion.author,
                action=action,
                details=details,
                at=promotion.at,
            )
    finally:
        engine.dispose()
