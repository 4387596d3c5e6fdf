import json
import sqlite3
from pathlib import Path

import pytest

from data_connectors.database import read_query
from shared.errors import (
    EmptyData,
    SettingsError,
    SingleClass,
    StorageError,
    UnknownColumn,
    UnreadableFile,
)

pytestmark = pytest.mark.unit

QUERY = "SELECT body AS text, team AS label FROM tickets ORDER BY id"


@pytest.fixture
def url(tmp_path: Path) -> str:
    connection = sqlite3.connect(tmp_path / "desk.db")
    connection.execute("CREATE TABLE tickets (id INTEGER PRIMARY KEY, body TEXT, team)")
    rows = [("where is it", "orders"), (None, "orders"), ("money back", 7), ("mow", "oos")]
    connection.executemany("INSERT INTO tickets (body, team) VALUES (?, ?)", rows)
    connection.commit()
    connection.close()
    return f"sqlite:///{tmp_path / 'desk.db'}"


def count(url: str) -> int:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    (number,) = connection.execute("SELECT count(*) FROM tickets").fetchone()
    connection.close()
    return int(number)


def test_a_query_gives_examples_and_rejects(url: str, tmp_path: Path) -> None:
    dataset = read_query(url, QUERY, rejects=tmp_path / "rejects.jsonl", name="tickets")
    assert dataset.name == "tickets"
    assert [(example.text, example.label) for example in dataset.examples] == [
        ("where is it", "orders"),
        ("money back", "7"),
        ("mow", "out_of_scope"),
    ]
    written = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert written == [
        {"line": 2, "reason": "the text is blank", "row": {"text": None, "label": "orders"}}
    ]


def test_columns_can_be_named(url: str) -> None:
    dataset = read_query(
        url, "SELECT * FROM tickets WHERE body NOTNULL", text_column="body", label_column="team"
    )
    assert len(dataset.examples) == 3
    with pytest.raises(UnknownColumn, match="'id', 'body', 'team'"):
        read_query(url, "SELECT * FROM tickets", text_column="utterance")


def test_what_selects_too_little(url: str) -> None:
    with pytest.raises(EmptyData):
        read_query(url, f"SELECT * FROM ({QUERY}) WHERE text = 'none'")
    with pytest.raises(SingleClass):
        read_query(url, f"SELECT * FROM ({QUERY}) LIMIT 1")


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM tickets", "DELETE FROM tickets RETURNING body AS text, team AS label"],
)
def test_nothing_that_a_query_changes_is_kept(url: str, query: str) -> None:
    try:
        read_query(url, query)
    except StorageError:
        assert "RETURNING" not in query
    assert count(url) == 4


def test_faults_of_query_and_address(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such table: absent"):
        read_query(url, "SELECT * FROM absent")
    with pytest.raises(StorageError, match="no rows at all"):
        read_query(url, "CREATE TABLE another (id)")
    with pytest.raises(SettingsError, match="address"):
        read_query("not an address", QUERY)
    with pytest.raises(SettingsError, match="no driver"):
        read_query("nosuchdatabase://localhost/x", QUERY)
    missing = tmp_path / "missing.db"
    with pytest.raises(UnreadableFile, match="no such SQLite file"):
        read_query(f"sqlite:///{missing}", QUERY)
    assert not missing.exists()


def test_a_password_never_stands_in_a_message() -> None:
    with pytest.raises(StorageError) as caught:
        read_query("postgresql+psycopg://me:s3cret@127.0.0.1:1/desk?connect_timeout=1", QUERY)
    assert "s3cret" not in caught.value.message
    assert "127.0.0.1:1/desk" in caught.value.message
