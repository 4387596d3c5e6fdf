"""Posts and comments from rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apps.finance.ingest.identity import identity_of
from apps.finance.ingest.posts import (
    PostColumns,
    find_post_columns,
    parse_time,
    post_or_reason,
    read_post_query,
    read_posts,
)
from data_connectors.feed_parsing import FeedEntry
from data_connectors.rows import Row
from shared.errors import UnknownColumn
from shared.records import Reject

pytestmark = pytest.mark.unit
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def post(**values: object) -> FeedEntry | str:
    columns = find_post_columns(list(values), PostColumns(), "here")
    return post_or_reason(Row(2, values), columns)


def test_usual_names_are_found_whatever_their_case() -> None:
    names = ["ID", "Body", "Title", "username", "subreddit", "created_utc", "permalink", "score"]
    assert find_post_columns(names, PostColumns(), "here") == PostColumns(
        "Body", "Title", "username", "subreddit", "created_utc", "permalink", "ID"
    )


def test_a_column_serves_one_purpose() -> None:
    assert find_post_columns(["headline"], PostColumns(), "here") == PostColumns("headline")
    named = find_post_columns(["title", "text"], PostColumns(text="title"), "here")
    assert (named.text, named.title) == ("title", None)


@pytest.mark.parametrize("wanted", [PostColumns(), PostColumns(author="who", text="a")])
def test_a_column_that_is_not_there_is_named_with_those_that_are(wanted: PostColumns) -> None:
    with pytest.raises(UnknownColumn, match="'a', 'b'"):
        find_post_columns(["a", "b"], wanted, "here")


def test_a_row_becomes_an_entry_with_author_and_source() -> None:
    entry = post(
        text="Acme  <b>soars</b>",
        user="Ann",
        source="board",
        time="2026-03-01",
        url="http://x.example",
    )
    assert isinstance(entry, FeedEntry)
    assert (entry.summary, entry.author, entry.publisher) == ("Acme soars", "Ann", "board")
    assert (entry.published_at, entry.link) == (MIDNIGHT, "http://x.example")


def test_a_row_that_is_no_post_says_why() -> None:
    assert post(text="  ") == "the text is blank"
    assert "none that can be read" in str(post(text="x", time="soon"))


def test_ids_belong_to_their_source_and_what_has_none_is_known_by_what_it_says() -> None:
    def identity(**values: object) -> str:
        entry = post(**values)
        assert isinstance(entry, FeedEntry)
        return identity_of(entry)

    assert identity(text="a", id=7, source="one") == identity(text="b", id="7", source="one")
    assert identity(text="a", id=7, source="one") != identity(text="a", id=7, source="two")
    assert identity(text="a", user="Ann") != identity(text="a", user="Bo")
    assert identity(text="a", user="Ann") == identity(text="a", user="Ann")
    linked = identity(text="a", url="http://x.example/1")
    assert linked == identity(text="b", url="https://x.example/1/")


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01",
        "20260301",
        "2026-03-01T01:00:00+01:00",
        "Sun, 01 Mar 2026 00:00:00 GMT",
        MIDNIGHT.timestamp(),
        str(int(MIDNIGHT.timestamp())),
        MIDNIGHT.timestamp() * 1000,
        MIDNIGHT,
        MIDNIGHT.replace(tzinfo=None),
    ],
)
def test_times_of_many_kinds_are_read(value: object) -> None:
    assert parse_time(value) == MIDNIGHT


@pytest.mark.parametrize("value", [None, "", "  ", float("nan")])
def test_no_time_is_none(value: object) -> None:
    assert parse_time(value) is None


@pytest.mark.parametrize("value", ["soon", "1e300", "2026-13-01", "nan", "inf", []])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        parse_time(value)


def write_csv(folder: Path, rows: list[dict[str, str]]) -> Path:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    path = folder / "posts.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_json_lines(folder: Path, rows: list[dict[str, str]]) -> Path:
    path = folder / "posts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def write_parquet(folder: Path, rows: list[dict[str, str]]) -> Path:
    import pyarrow
    import pyarrow.parquet

    path = folder / "posts.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


ROWS = [
    {"text": "Acme soars", "author": "Ann", "extra": "1", "time": "2026-03-01"},
    {"text": " ", "author": "Bo", "extra": "2", "time": "2026-03-01"},
    {"text": "Globex sinks", "author": "Cy", "extra": "3", "time": ""},
]


@pytest.mark.parametrize("write", [write_csv, write_json_lines, write_parquet])
def test_every_kind_of_file_gives_the_same_posts(tmp_path: Path, write: object) -> None:
    found = list(read_posts(write(tmp_path, ROWS), PostColumns()))  # type: ignore[operator]
    posts = [one for one in found if isinstance(one, FeedEntry)]
    assert [(one.summary, one.author, one.published_at) for one in posts] == [
        ("Acme soars", "Ann", MIDNIGHT),
        ("Globex sinks", "Cy", None),
    ]
    (rejected,) = [one for one in found if isinstance(one, Reject)]
    assert rejected.reason == "the text is blank"


def test_a_query_gives_posts_too(tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "board.sqlite3"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE comments (body TEXT, who TEXT)")
    connection.execute("INSERT INTO comments VALUES ('Acme soars', 'Ann')")
    connection.commit()
    connection.close()
    (entry,) = read_post_query(
        f"sqlite:///{file}", "SELECT * FROM comments", PostColumns(author="who")
    )
    assert isinstance(entry, FeedEntry)
    assert (entry.summary, entry.author) == ("Acme soars", "Ann")
