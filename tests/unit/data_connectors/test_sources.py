import io
import sqlite3
from pathlib import Path

import pytest

from data_connectors.downloads import ProgressLine
from data_connectors.sources import load_dataset, load_train_test
from shared.errors import SettingsError, SingleClass, UnknownDataset, UnreadableFile
from shared.settings import Settings

pytestmark = pytest.mark.unit


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", data=None)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    path = tmp_path / "desk.csv"
    path.write_text(
        "text,label,split\nhi,a,train\nyo,b,validation\nhey,a,gate\nbye,b,test\n,b,test\n"
    )
    return path


def test_a_path_a_sample_and_a_query(tmp_path: Path, desk: Path, settings: Settings) -> None:
    assert load_dataset(str(desk), settings=settings).name == "desk.csv"

    shipped = {"sample:support": desk}
    sample = load_dataset("sample:support", settings=settings, shipped=shipped)
    assert sample.name == "sample:support"
    assert len(sample.examples) == 4

    connection = sqlite3.connect(tmp_path / "desk.db")
    connection.executescript(
        "CREATE TABLE t (text, label); INSERT INTO t VALUES ('x','1'),('y','2')"
    )
    connection.close()
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    dataset = load_dataset(url, settings=settings, query="SELECT * FROM t")
    assert dataset.labels == ("1", "2")
    with pytest.raises(SettingsError, match="query"):
        load_dataset(url, settings=settings)
    with pytest.raises(SettingsError, match="query"):
        load_dataset(str(desk), settings=settings, query="SELECT * FROM t")


def test_columns_and_rejects_reach_the_file(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.csv"
    path.write_text("body,team\nhi,a\n,a\nyo,b\n")
    rejects = tmp_path / "rejects.jsonl"
    dataset = load_dataset(
        str(path), settings=settings, text_column="body", label_column="team", rejects=rejects
    )
    assert len(dataset.examples) == 2
    assert len(rejects.read_text().splitlines()) == 1


def test_an_unknown_name_lists_those_there_are(settings: Settings) -> None:
    shipped = {"sample:support": Path("unused.csv")}
    with pytest.raises(UnknownDataset) as caught:
        load_dataset("banking7", settings=settings, shipped=shipped)
    assert "Did you mean banking77?" in caught.value.message
    for name in [
        "sample:support",
        "banking77-10shot",
        "banking77-5shot",
        "clinc150",
        "banking77-oos",
    ]:
        assert name in caught.value.message
    with pytest.raises(UnknownDataset, match="sample:support"):
        load_dataset("sample:other", settings=settings, shipped=shipped)
    for path in ["missing.csv", "folder/missing"]:
        with pytest.raises(UnreadableFile, match="no such file"):
            load_dataset(path, settings=settings)


def test_train_and_test_sources_become_one_data_set(
    tmp_path: Path, desk: Path, settings: Settings
) -> None:
    test = tmp_path / "test.csv"
    test.write_text("text,label\nhello there,a\n,a\n")
    rejects = tmp_path / "rejects.jsonl"
    dataset = load_train_test(str(desk), str(test), settings=settings, rejects=rejects)
    assert [(example.text, example.split) for example in dataset.examples] == [
        ("hi", "train"),
        ("yo", "validation"),
        ("hey", "gate"),
        ("hello there", "test"),
    ]
    assert dataset.name == "desk.csv + test.csv"
    assert len(dataset.rejects) == 2
    assert len(rejects.read_text().splitlines()) == 1
    assert len((tmp_path / "rejects-test.jsonl").read_text().splitlines()) == 1


def test_only_rows_marked_as_test_are_tested_on(desk: Path, settings: Settings) -> None:
    dataset = load_train_test(str(desk), str(desk), settings=settings)
    assert [example.text for example in dataset.examples if example.split == "test"] == ["bye"]


def test_training_on_one_class_is_refused(tmp_path: Path, desk: Path, settings: Settings) -> None:
    one = tmp_path / "one.csv"
    one.write_text("text,label\nhi,a\nyo,a\n")
    with pytest.raises(SingleClass):
        load_train_test(str(one), str(desk), settings=settings)


def test_progress_is_one_line_a_file_where_nobody_watches() -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for done in (500_000, 1_000_000, 2_000_000):
        line("train.csv", done, 2_000_000)
    assert stream.getvalue() == "train.csv: 2.0 of 2.0 MB (100%)\n"


def test_progress_is_written_over_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    line = ProgressLine(stream)
    line("train.csv", 500_000, 2_000_000)
    line("train.csv", 2_000_000, 2_000_000)
    assert stream.getvalue() == (
        "\rtrain.csv: 0.5 of 2.0 MB (25%)\rtrain.csv: 2.0 of 2.0 MB (100%)\n"
    )
