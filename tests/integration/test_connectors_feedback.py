"""Corrections from the real table, and queries, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from data_connectors.database import read_query
from data_connectors.feedback import read_feedback
from shared.records import OUT_OF_SCOPE
from shared.storage.tables import feedback

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def correct(engine: Engine, text: str, label: str, minutes: float = 0, **more: Any) -> None:
    row = {"app": "support", "author": "ada", "created_at": NOON + timedelta(minutes=minutes)}
    with engine.begin() as connection:
        connection.execute(insert(feedback).values(text=text, label=label, **{**row, **more}))


def test_corrections_become_examples(engine: Engine) -> None:
    local = timezone(timedelta(hours=2))
    correct(
        engine, "my parcel is late", "delivery", author="ada", created_at=NOON.astimezone(local)
    )
    correct(engine, "sing me a song", "OOS", minutes=1, author="bob")
    dataset = read_feedback(engine, "support")
    assert [(example.text, example.label, example.split) for example in dataset.examples] == [
        ("my parcel is late", "delivery", None),
        ("sing me a song", OUT_OF_SCOPE, None),
    ]
    assert [dict(example.details) for example in dataset.examples] == [
        {"author": "ada", "created_at": "2026-03-01T12:00:00+00:00"},
        {"author": "bob", "created_at": "2026-03-01T12:01:00+00:00"},
    ]


def test_the_newest_correction_of_a_text_wins(engine: Engine) -> None:
    correct(engine, "Where is  it?", "refund", minutes=5, author="bob")
    correct(engine, "another", "orders", minutes=3)
    correct(engine, "where is it?", "orders", minutes=1)
    examples = read_feedback(engine, "support").examples
    assert [(e.text, e.label) for e in examples] == [
        ("another", "orders"),
        ("Where is  it?", "refund"),
    ]
    correct(engine, "WHERE IS IT?", "delivery", minutes=5)
    assert read_feedback(engine, "support").examples[-1].label == "delivery"


def test_other_apps_and_no_corrections(engine: Engine) -> None:
    correct(engine, "rates rise", "negative", app="finance")
    assert read_feedback(engine, "support").examples == ()
    assert len(read_feedback(engine, "finance").examples) == 1


def test_a_query_reads_the_same_rows_on_both_databases(engine: Engine) -> None:
    rows = [
        {
            "app": "support",
            "author": "ada",
            "created_at": NOON,
            "text": f"text {number}",
            "label": ("orders", "refund", "  ")[number % 3],
        }
        for number in range(2_500)
    ]
    with engine.begin() as connection:
        connection.execute(insert(feedback), rows)
    url = engine.url.render_as_string(hide_password=False)
    dataset = read_query(url, "SELECT text, label FROM feedback ORDER BY id")
    assert len(dataset.examples) == 1_667
    assert len(dataset.rejects) == 833
    assert dataset.rejects[0].line == 3
    assert dataset.examples[-1].text == "text 2499"
