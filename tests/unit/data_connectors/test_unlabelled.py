"""Texts of any source, without labels: training texts alone, bad rows counted, clear errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_connectors.unlabelled import iterate_texts, load_texts
from shared.errors import EmptyData, SettingsError, UnknownColumn, UnknownDataset, UnreadableFile
from shared.settings import Settings

pytestmark = pytest.mark.unit


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", data=None)


def test_a_table_needs_no_labels(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "inbox.csv"
    path.write_text('id,message\n1,"hello, you"\n2,\n3,where is it\n')
    found = load_texts(str(path), settings=settings)
    assert found.texts == ("hello, you", "where is it")
    assert found.rejected == 1
    assert found.first_reason == "line 3: the text is blank"
    assert "2 unlabelled texts read" in found.notice()
    assert "1 rows rejected" in found.notice()


def test_a_file_of_one_column_is_a_table(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "inbox.csv"
    path.write_text("text\nhello\nwhere is it\n")
    assert load_texts(str(path), settings=settings).texts == ("hello", "where is it")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_labels_are_ignored_and_only_training_rows_read(
    kind: str, tmp_path: Path, settings: Settings
) -> None:
    texts, splits = ["a cat", "a dog", "a cow", "a hen"], ["train", "test", "Training", "gate"]
    path = tmp_path / f"rows.{kind}"
    if kind == "csv":
        rows = [f"{t},x,{s}" for t, s in zip(texts, splits, strict=True)]
        path.write_text("\n".join(["text,label,split", *rows]))
    elif kind == "jsonl":
        rows = [f'{{"text": "{t}", "split": "{s}"}}' for t, s in zip(texts, splits, strict=True)]
        path.write_text("\n".join(rows))
    else:
        pq.write_table(pa.table({"text": texts, "label": ["x"] * 4, "split": splits}), path)
    assert load_texts(str(path), settings=settings).texts == ("a cat", "a cow")


def test_plain_text_is_one_text_a_line(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "inbox.txt"
    path.write_bytes(b'  "hello", she said\r\n\r\nwhere; is it\r\nnul \0 here\n')
    found = load_texts(str(path), settings=settings, text_column="message")
    assert found.texts == ('"hello", she said', "where; is it")
    assert found.first_reason == "line 4: it holds a NUL character"


def test_a_named_column_is_read_where_it_is_there(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,wish\nhi,a cup\nyo,a pot\n")
    named = load_texts(str(path), settings=settings, text_column="wish")
    assert named.texts == ("a cup", "a pot")
    guessed = load_texts(str(path), settings=settings, text_column="elsewhere")
    assert guessed.texts == ("hi", "yo")


def test_a_sample_and_a_database(tmp_path: Path, settings: Settings) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_text("text,label\nhi,a\n")
    found = load_texts("sample:desk", settings=settings, shipped={"sample:desk": sample})
    assert found.texts == ("hi",)

    connection = sqlite3.connect(tmp_path / "desk.db")
    connection.executescript("CREATE TABLE t (message); INSERT INTO t VALUES ('x'),('y')")
    connection.close()
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    found = load_texts(url, settings=settings, query="SELECT * FROM t")
    assert found.texts == ("x", "y")
    assert str(tmp_path) not in found.name
    with pytest.raises(SettingsError, match="query"):
        load_texts(url, settings=settings)


def test_what_cannot_be_read_is_said(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(UnreadableFile, match="no such file"):
        load_texts("missing.txt", settings=settings)
    with pytest.raises(UnknownDataset, match="Did you mean banking77"):
        load_texts("banking7", settings=settings)
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(EmptyData, match="there is no text in it"):
        load_texts(str(tmp_path / "empty.txt"), settings=settings)
    (tmp_path / "all_test.csv").write_text("text,split\nhi,test\n")
    with pytest.raises(EmptyData, match="there is no text in it"):
        load_texts(str(tmp_path / "all_test.csv"), settings=settings)
    (tmp_path / "numbers.csv").write_text("id,price\n1,2\n")
    with pytest.raises(UnknownColumn, match="no column looks like the text"):
        load_texts(str(tmp_path / "numbers.csv"), settings=settings)
    (tmp_path / "program.txt").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(UnreadableFile, match="binary"):
        load_texts(str(tmp_path / "program.txt"), settings=settings)


def test_texts_come_one_by_one_with_their_lines(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("text,split\nfirst,train\n ,test\nthird,test\n", encoding="utf-8")
    found = list(iterate_texts(str(table), settings=Settings(home=tmp_path)))
    assert found == [(2, "first", ""), (3, "", "the text is blank"), (4, "third", "")]
    plain = tmp_path / "rows.txt"
    plain.write_text("one\n\n two \n", encoding="utf-8")
    assert list(iterate_texts(str(plain), settings=Settings(home=tmp_path))) == [
        (1, "one", ""),
        (3, "two", ""),
    ]
    with pytest.raises(UnreadableFile):
        list(iterate_texts(str(tmp_path / "none.csv"), settings=Settings(home=tmp_path)))
