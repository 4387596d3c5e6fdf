from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from data_connectors.data_source import DataSource, load_source, source_of
from models.registry import ModelVersion
from shared.errors import DataError, UnknownDataset
from shared.settings import Settings

pytestmark = pytest.mark.unit


def version(data: dict[str, Any]) -> ModelVersion:
    born = datetime(2026, 1, 1, tzinfo=UTC)
    return ModelVersion("support", "v1", Path("v1"), born, {"data": data})


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("banking77", DataSource("banking77")),
        ({"source": "a.csv", "label_column": "kind"}, DataSource("a.csv", label_column="kind")),
        ({"source": "a.csv", "test": "b.csv", "later": 1}, DataSource("a.csv", test="b.csv")),
    ],
)
def test_the_card_says_where_the_data_came_from(stored: Any, expected: DataSource) -> None:
    assert source_of(version({"source": stored})) == expected


@pytest.mark.parametrize("data", [{}, {"source": None}, {"source": {}}, {"source": ""}])
def test_a_card_without_a_source_asks_for_data(data: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"version v1 does not say.*--data"):
        source_of(version(data))


def test_without_a_version_data_must_be_named() -> None:
    with pytest.raises(DataError, match="--data"):
        source_of(None)


def test_a_source_is_read_with_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "desk.csv"
    path.write_text("said,kind,note\nhello there,greeting,x\nstop it,cancel,y\n", encoding="utf-8")
    source = DataSource(str(path), text_column="said", label_column="kind")
    dataset = load_source(source, Settings(home=tmp_path))
    assert [(one.text, one.label) for one in dataset.examples] == [
        ("hello there", "greeting"),
        ("stop it", "cancel"),
    ]


def test_columns_to_keep_go_along_in_the_details(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text("text,label,Entity\nA beats B,good,A\nall quiet,dull,\n", encoding="utf-8")
    dataset = load_source(DataSource(str(path)), Settings(home=tmp_path), keep=("entity",))
    assert [dict(one.details) for one in dataset.examples] == [{"entity": "A"}, {}]


def test_training_and_test_data_from_two_sources_keep_their_splits(tmp_path: Path) -> None:
    for name, row in (("train", "hello,greeting\nstop it,cancel\n"), ("test", "hi,greeting\n")):
        (tmp_path / f"{name}.csv").write_text("text,intent\n" + row, encoding="utf-8")
    source = DataSource(str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    dataset = load_source(source, Settings(home=tmp_path))
    assert [one.split for one in dataset.examples] == ["train", "train", "test"]


def test_an_unknown_name_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownDataset, match="sample:desk"):
        load_source(
            DataSource("nothing"), Settings(home=tmp_path), shipped={"sample:desk": tmp_path}
        )


@pytest.mark.parametrize(
    "source",
    [
        DataSource("banking77"),
        DataSource("sample:support"),
        DataSource("sqlite:///desk.sqlite3", "said", "kind", query="select * from said"),
    ],
)
def test_a_source_comes_back_from_the_card_as_it_was(source: DataSource) -> None:
    assert source_of(version({"source": source.for_card()})) == source


def test_a_card_keeps_a_name_alone_as_a_text() -> None:
    assert DataSource("banking77").for_card() == "banking77"


def test_a_path_is_kept_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "desk.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert DataSource("desk.csv").for_card() == str((tmp_path / "desk.csv").resolve())


def test_a_password_is_not_kept_and_the_data_must_be_named_again() -> None:
    source = DataSource("postgresql://ada:secret@host/desk", query="select 1")
    kept = source.for_card()
    assert "secret" not in str(kept)
    with pytest.raises(DataError, match="passwords are not kept"):
        source_of(version({"source": kept}))
