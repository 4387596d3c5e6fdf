"""Laws of the database that hold on SQLite and on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, func, inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from shared.errors import StorageError
from shared.storage.engine import open_database, reading
from shared.storage.recommend_tables import metadata
from shared.storage.tables import conversations, feedback, messages

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


def add_conversation(engine: Engine, id: str = "a" * 32, **values: object) -> None:
    row = {"id": id, "owner": "bot", "created_at": NOW, "updated_at": NOW, **values}
    with engine.begin() as connection:
        connection.execute(conversations.insert().values(row))


def test_the_migrated_schema_equals_the_metadata(engine: Engine) -> None:
    with reading(engine) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_the_migrated_checks_equal_the_metadata(engine: Engine) -> None:
    """compare_metadata does not look at check constraints."""
    inspector = inspect(engine)
    for table in metadata.sorted_tables:
        wanted = {
            str(constraint.name)
            for constraint in table.constraints
            if isinstance(constraint, CheckConstraint)
        }
        found = {str(check["name"]) for check in inspector.get_check_constraints(table.name)}
        assert found == wanted, table.name


def test_opening_again_keeps_what_is_there(engine: Engine, database_url: str) -> None:
    add_conversation(engine)
    again = open_database(database_url)
    try:
        with reading(again) as connection:
            assert connection.scalar(select(func.count()).select_from(conversations)) == 1
    finally:
        again.dispose()


def _open_and_count(url: str) -> int:
    engine = open_database(url)
    try:
        with reading(engine) as connection:
            return len(inspect(connection).get_table_names())
    finally:
        engine.dispose()


def test_processes_that_start_at_once_migrate_once(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=context) as pool:
        counts = list(pool.map(_open_and_count, [database_url] * 3))
    assert counts == [len(metadata.tables) + 1] * 3  # Alembic keeps a table of its own


def test_a_schema_from_the_future_is_refused(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="update Triptych"):
        open_database(database_url)


def test_times_come_back_aware_and_in_utc(engine: Engine) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))
    add_conversation(engine, updated_at=elsewhere)
    with reading(engine) as connection:
        row = connection.execute(select(conversations)).one()
    assert (row.created_at, row.updated_at) == (NOW, NOW)
    assert row.updated_at.utcoffset() == timedelta(0)
    assert row.person_active_at is None


def test_times_sort_and_compare(engine: Engine) -> None:
    for number in range(3):
        add_conversation(engine, str(number) * 32, updated_at=NOW + timedelta(seconds=number))
    newest = select(conversations.c.id).order_by(conversations.c.updated_at.desc())
    later = newest.where(conversations.c.updated_at > NOW)
    with reading(engine) as connection:
        assert list(connection.scalars(newest)) == ["2" * 32, "1" * 32, "0" * 32]
        assert list(connection.scalars(later)) == ["2" * 32, "1" * 32]


def test_json_round_trips_and_none_is_null(engine: Engine) -> None:
    handover = {"reason": "unsure", "ranked": [{"intent": "état 🙂", "probability": 0.5}]}
    add_conversation(engine, "a" * 32, handover=handover)
    add_conversation(engine, "b" * 32, handover=None)
    with reading(engine) as connection:
        empty = select(conversations.c.id).where(conversations.c.handover.is_(None))
        assert list(connection.scalars(empty)) == ["b" * 32]
        full = select(conversations.c.handover).where(conversations.c.id == "a" * 32)
        assert connection.scalar(full) == handover


def message(**values: object) -> dict[str, object]:
    return {
        "conversation_id": "a" * 32,
        "author": "customer",
        "text": "where is my parcel",
        "created_at": NOW,
        **values,
    }


@pytest.mark.parametrize(
    "broken",
    [
        {"conversation_id": "f" * 32},
        {"author": "stranger"},
        {"review_state": "lost"},
        {"action": "guess"},
        {"text": None},
    ],
)
def test_a_broken_row_is_refused(engine: Engine, broken: dict[str, object]) -> None:
    add_conversation(engine)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(messages.insert().values(message(**broken)))
    with engine.begin() as connection:
        connection.execute(messages.insert().values(message()))


def test_a_conversation_takes_its_messages_along(engine: Engine) -> None:
    add_conversation(engine)
    with engine.begin() as connection:
        connection.execute(messages.insert().values(message(embedding=b"\x00\x01\xff")))
        assert connection.scalar(select(messages.c.embedding)) == b"\x00\x01\xff"
        connection.execute(conversations.delete())
        assert connection.scalar(select(func.count()).select_from(messages)) == 0


def test_ids_are_not_used_twice(engine: Engine) -> None:
    row = {"app": "support", "text": "t", "label": "l", "author": "a", "created_at": NOW}
    ids = []
    for _ in range(2):
        with engine.begin() as connection:
            ids.append(connection.execute(feedback.insert().values(row)).inserted_primary_key[0])
            connection.execute(feedback.delete())
    assert ids[1] > ids[0]


def test_a_failed_transaction_leaves_nothing(engine: Engine) -> None:
    def fail_half_way() -> None:
        with engine.begin() as connection:
            connection.execute(
                conversations.insert().values(
                    id="a" * 32, owner="bot", created_at=NOW, updated_at=NOW
                )
            )
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        fail_half_way()
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(conversations)) == 0


def test_reading_and_changing_is_one_step(engine: Engine) -> None:
    """Threads that read a number and write it plus one lose no step."""
    add_conversation(engine, pending={"count": 0})
    failures: list[BaseException] = []

    def step() -> None:
        try:
            for _ in range(10):
                with engine.begin() as connection:
                    row = connection.execute(select(conversations.c.pending).with_for_update())
                    count = row.scalar_one()["count"]
                    connection.execute(update(conversations).values(pending={"count": count + 1}))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with reading(engine) as connection:
        assert connection.scalar(select(conversations.c.pending)) == {"count": 40}


def test_a_reader_does_not_wait_for_a_writer(engine: Engine) -> None:
    add_conversation(engine)
    with engine.begin() as writer:
        writer.execute(conversations.delete())
        with reading(engine) as reader:
            assert reader.scalar(select(func.count()).select_from(conversations)) == 1
