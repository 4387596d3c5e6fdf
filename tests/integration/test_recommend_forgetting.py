"""A forgotten user is named nowhere in either database."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select

from apps.recommend.events.store import EventStore
from apps.recommend.forgetting import HELD_UP, forget, forgotten_since
from shared.catalogue import BehaviourEvent
from shared.errors import SettingsError
from shared.storage.engine import reading
from shared.storage.recommend_tables import (
    behaviour_events,
    clicks,
    forget_receipts,
    impressions,
    metadata,
)
from shared.storage.tables import audit_log

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, tzinfo=UTC)
WHO = "dora.quill@example.org"


def show(engine: Engine, id: str, user: str, *, tenant: str = "default", clicked: int = 0) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(impressions).values(
                id=id, tenant=tenant, user_id=user, request_id=id, items=["a", "b", "c"], at=NOW
            )
        )
        for item in "abc"[:clicked]:
            connection.execute(
                insert(clicks).values(
                    impression_id=id, tenant=tenant, user_id=user, item_id=item, at=NOW
                )
            )


def act(engine: Engine, user: str, count: int, tenant: str = "default") -> None:
    EventStore(engine, tenant).add(
        [BehaviourEvent(f"{user}-{n}", user, f"i{n}", "purchase", NOW) for n in range(count)], NOW
    )


def where_named(engine: Engine, words: Sequence[str]) -> list[str]:
    """Tables of which a cell holds one of the words."""
    with reading(engine) as connection:
        return [
            table.name
            for table in metadata.sorted_tables
            for row in connection.execute(select(table))
            if any(word in str(cell) for cell in row for word in words)
        ]


def test_nothing_names_them_afterwards_and_others_stay(engine: Engine) -> None:
    for user in (WHO, "ben"):
        act(engine, user, 3)
        show(engine, f"{user[:3]}-1", user, clicked=2)
        show(engine, f"{user[:3]}-2", user)
    assert set(where_named(engine, [WHO])) == {"behaviour_events", "impressions", "clicks"}
    receipt = forget(engine, "default", WHO, NOW, actor="the desk")
    assert receipt.removed == {"events": 3, "impressions": 2, "clicks": 2}
    assert where_named(engine, [WHO]) == []
    assert len(EventStore(engine, "default").history(WHO)) == 0
    assert len(EventStore(engine, "default").history("ben")) == 3
    with reading(engine) as connection:
        for table, left in ((behaviour_events, 3), (impressions, 2), (clicks, 2)):
            assert connection.scalar(select(func.count()).select_from(table)) == left


def test_the_receipt_names_a_hash_and_stands_in_the_audit_log(engine: Engine) -> None:
    act(engine, WHO, 1)
    receipt = forget(engine, "default", WHO, NOW, actor="the desk")
    assert receipt.user_hash == hashlib.sha256(f"default:{WHO}".encode()).hexdigest()
    with reading(engine) as connection:
        kept = connection.execute(select(forget_receipts)).one()
        line = connection.execute(select(audit_log)).one()
    assert tuple(kept) == (receipt.id, "default", receipt.user_hash, NOW, receipt.removed)
    assert (line.actor, line.action, line.at) == ("the desk", "user forgotten", NOW)
    assert line.details["user_hash"] == receipt.user_hash
    assert line.details["receipt"] == receipt.id


def test_one_who_is_not_known_gets_a_receipt_too(engine: Engine) -> None:
    receipt = forget(engine, "default", "nobody", NOW)
    assert receipt.removed == {"events": 0, "impressions": 0, "clicks": 0}
    with pytest.raises(SettingsError):
        forget(engine, "No Tenant", "nobody", NOW)


def test_the_same_name_of_another_tenant_stays(engine: Engine) -> None:
    for tenant in ("default", "shop-b"):
        act(engine, "ann", 2, tenant)
        show(engine, f"{tenant}-1", "ann", tenant=tenant, clicked=1)
    ours, theirs = (forget(engine, tenant, "ann", NOW) for tenant in ("default", "shop-c"))
    assert (ours.removed["events"], theirs.removed["events"]) == (2, 0)
    assert ours.user_hash != theirs.user_hash
    assert len(EventStore(engine, "shop-b").history("ann")) == 2
    with reading(engine) as connection:
        assert list(connection.scalars(select(impressions.c.id))) == ["shop-b-1"]


def test_what_a_request_began_before_is_not_written_after(engine: Engine) -> None:
    before, after = NOW - timedelta(seconds=1), NOW + HELD_UP + timedelta(seconds=1)
    held_up = NOW + HELD_UP - timedelta(seconds=1)
    with engine.begin() as connection:
        assert not forgotten_since(connection, "default", WHO, before)
    forget(engine, "default", WHO, NOW)
    with engine.begin() as connection:
        assert forgotten_since(connection, "default", WHO, before)
        assert forgotten_since(connection, "default", WHO, held_up)
        assert not forgotten_since(connection, "default", WHO, after)
        assert not forgotten_since(connection, "default", "ben", before)
        assert not forgotten_since(connection, "shop-b", WHO, before)


def test_forgetting_waits_for_who_is_writing_about_them(engine: Engine) -> None:
    with engine.begin() as connection:
        assert not forgotten_since(connection, "default", WHO, NOW)
        thread = threading.Thread(target=forget, args=[engine, "default", WHO, NOW])
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        connection.execute(
            insert(impressions).values(
                id="x", tenant="default", user_id=WHO, request_id="x", items=[], at=NOW
            )
        )
    thread.join(10)
    assert not thread.is_alive()
    assert where_named(engine, [WHO]) == []


def test_sqlite_overwrites_what_it_removes(sqlite_engine: Engine) -> None:
    act(sqlite_engine, WHO, 200)
    act(sqlite_engine, "ben", 200)
    file = Path(str(sqlite_engine.url.database))
    forget(sqlite_engine, "default", WHO, NOW)
    raw = sqlite_engine.raw_connection()
    raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    held = file.read_bytes()
    assert b"ben-199" in held
    assert f"{WHO}-199".encode() not in held
