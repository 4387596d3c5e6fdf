import json
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from data_connectors.files import iterate_file, read_file
from shared.errors import (
    DataError,
    EmptyData,
    SettingsError,
    SingleClass,
    UnknownColumn,
    UnreadableFile,
)
from shared.records import OUT_OF_SCOPE, Dataset

pytestmark = pytest.mark.unit

ROWS = [("where is my order, please", "orders"), ("I want\nmy money back", "refund")]


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def pairs(dataset: Dataset) -> list[tuple[str, str]]:
    return [(example.text, example.label) for example in dataset.examples]


def faults(dataset: Dataset) -> list[tuple[int, str]]:
    return [(reject.line, reject.reason) for reject in dataset.rejects]


def as_delimited(delimiter: str) -> str:
    body = "".join(f'"{text}"{delimiter}{label}\n' for text, label in ROWS)
    return f"Text{delimiter}Intent\n{body}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "ascii"])
@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("a.csv", ","), ("a.csv", ";"), ("a.csv", "|"), ("a.tsv", "\t"), ("a.txt", "\t")],
)
def test_delimited_files_of_all_kinds_hold_the_same(
    tmp_path: Path, name: str, delimiter: str, encoding: str
) -> None:
    dataset = read_file(write(tmp_path / name, as_delimited(delimiter), encoding))
    assert pairs(dataset) == ROWS
    assert dataset.name == name
    assert dataset.rejects == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_lines(tmp_path: Path, encoding: str) -> None:
    lines = [json.dumps({"id": 1, "message": text, "label": label}) for text, label in ROWS]
    assert pairs(read_file(write(tmp_path / "a.jsonl", "\n".join(lines), encoding))) == ROWS


@pytest.mark.parametrize("labels", [["orders", "refund"], [3, 4], [3.0, 4.0]])
def test_parquet(tmp_path: Path, labels: list[Any]) -> None:
    table = pyarrow.table({"other": [[1], [2]], "query": [r[0] for r in ROWS], "label": labels})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    expected = [str(label).removesuffix(".0") for label in labels]
    assert [label for _, label in pairs(read_file(tmp_path / "a.parquet"))] == expected


def test_parquet_with_categories_decimals_and_gaps(tmp_path: Path) -> None:
    table = pyarrow.table(
        {
            "text": pyarrow.array(["a", "b", None, "c"]).dictionary_encode(),
            "label": [Decimal("1.5"), Decimal("2.5"), Decimal("2.5"), None],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    dataset = read_file(tmp_path / "a.parquet")
    assert pairs(dataset) == [("a", "1.5"), ("b", "2.5")]
    assert faults(dataset) == [(3, "the text is blank"), (4, "the label is blank")]


def test_named_columns_and_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label,body,team,part\nx,y,hi,a,train\nx,y,yo,b,dev\n")
    dataset = read_file(
        path, text_column="body", label_column="team", split_column="part", name="mine"
    )
    assert dataset.name == "mine"
    assert [(e.text, e.label, e.split) for e in dataset.examples] == [
        ("hi", "a", "train"),
        ("yo", "b", "validation"),
    ]


def test_out_of_scope_spellings_are_one_label(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nhi,a\nyo,b\nmow,OOS\nbark,out-of-scope\n")
    dataset = read_file(path)
    assert dataset.labels == ("a", "b")
    assert [example.label for example in dataset.examples[2:]] == [OUT_OF_SCOPE] * 2


BAD_CSV = (
    b"text,label,split\n"  # 1
    b"caf\xc3\xa9 one,a,train\n"
    b"caf\xe9 two,a,train\n"  # 3: not UTF-8
    b"only a text\n"  # 4
    b"a, comma too many,b,train\n"  # 5
    b" ,b,train\n"  # 6
    b"no label,,train\n"  # 7
    b'"never closed,b,train\n'  # 8
    b"\n"
    b"na\x00me,b,train\n"  # 10
    b"in no split,b,holdout\n"  # 11
    b'"two\nlines",b\n'  # 12 and 13: the split may be left out
    b"trailing,b,test,,\n"
)


def test_bad_rows_never_stop_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(BAD_CSV)
    dataset = read_file(path, rejects=tmp_path / "rejects.jsonl")
    assert pairs(dataset) == [("café one", "a"), ("two\nlines", "b"), ("trailing", "b")]
    assert faults(dataset) == [
        (3, "it holds bytes or half characters that are not valid text"),
        (4, "it has 1 of 3 columns"),
        (5, "it has 4 columns where the first line names 3"),
        (6, "the text is blank"),
        (7, "the label is blank"),
        (8, "text follows a closing quote"),
        (10, "it holds a NUL character"),
        (11, "the split is 'holdout', not one of train, validation, gate, test"),
    ]
    written = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(row["line"], row["reason"]) for row in written] == faults(dataset)
    assert written[0]["row"]["text"] == "caf\\udce9 two"
    assert written[5]["row"]["raw"] == '"never closed,b,train\n'


def test_bad_json_lines_never_stop_a_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        '{"text": "hi", "label": "a"}\n{"text": "cut off\n[1]\n{"text": "yo"}\n\n'
        '{"text": "\\ud800", "label": "b"}\n{"text": {"x": 1}, "label": "b"}\n'
        + "[" * 100_000
        + '\n{"text": "yo", "label": "b"}\n',
    )
    dataset = read_file(path)
    assert pairs(dataset) == [("hi", "a"), ("yo", "b")]
    assert [line for line, _ in faults(dataset)] == [2, 3, 4, 6, 7, 8]
    assert "not JSON" in dataset.rejects[0].reason


def test_a_broken_character_in_utf16_costs_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    sound = "text,label\nhi,a\n".encode("utf-16")
    path.write_bytes(sound + b"\x00\xd8" + "x,a\nyo,b\n".encode("utf-16-le"))
    dataset = read_file(path)
    assert pairs(dataset) == [("hi", "a"), ("yo", "b")]
    assert [reject.line for reject in dataset.rejects] == [3]


def test_a_sound_file_leaves_no_rejects_file(tmp_path: Path) -> None:
    read_file(write(tmp_path / "a.csv", as_delimited(",")), rejects=tmp_path / "rejects.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_rejects_are_never_written_over_the_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", as_delimited(","))
    with pytest.raises(DataError, match="over the file itself"):
        read_file(path, rejects=tmp_path / "." / "a.csv")
    assert path.read_text() == as_delimited(",")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a"])
@pytest.mark.parametrize("content", ["", "\n\n  \n", "\ufeff"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(EmptyData, match="empty"):
        read_file(write(tmp_path / name, content))
    with pytest.raises(EmptyData, match="empty"):
        read_file(write(tmp_path / "a.parquet", ""))


def test_column_names_without_rows_are_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyData, match="no rows"):
        read_file(write(tmp_path / "a.csv", "text,label\n"))
    pyarrow.parquet.write_table(pyarrow.table({"text": [], "label": []}), tmp_path / "a.parquet")
    with pytest.raises(EmptyData, match="no rows"):
        read_file(tmp_path / "a.parquet")


def test_one_class_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nhi,a\nyo,a\nmow,oos\n")
    with pytest.raises(SingleClass, match="one class"):
        read_file(path)
    assert len(read_file(path, single_class_ok=True).examples) == 3


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_unknown_column_lists_the_columns(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table({"text": ["hi"], "label": ["a"]}), path)
    else:
        write(path, {"csv": "text,label\nhi,a\n", "jsonl": '{"text":"hi","label":"a"}\n'}[kind])
    with pytest.raises(UnknownColumn, match="'body'; the columns are 'text', 'label'"):
        read_file(path, text_column="body")


def test_a_file_without_column_names_says_what_its_first_line_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "where is my order,orders\nhi,greet\n")
    with pytest.raises(UnknownColumn, match=r"'where is my order', 'orders'.*first line"):
        read_file(path)


def test_binary_broken_and_missing_files(tmp_path: Path) -> None:
    binary = tmp_path / "a.csv"
    binary.write_bytes(bytes(range(256)) * 100)
    with pytest.raises(UnreadableFile, match="binary"):
        read_file(binary)
    broken = tmp_path / "a.parquet"
    broken.write_bytes(b"PAR1" + b"x" * 50 + b"PAR1")
    with pytest.raises(UnreadableFile, match="Parquet"):
        read_file(broken)
    with pytest.raises(UnreadableFile, match="no such file"):
        read_file(tmp_path / "missing.csv")
    with pytest.raises(UnreadableFile, match="JSON object"):
        read_file(write(tmp_path / "a.jsonl", "text,label\nhi,a\n"))
    with pytest.raises(UnreadableFile, match="column names"):
        read_file(write(tmp_path / "b.csv", '"text,label\nhi,a\n'))


def test_options_that_are_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", as_delimited(","))
    for encoding in ["utf-99", "base64"]:
        with pytest.raises(SettingsError, match="encoding"):
            read_file(path, encoding=encoding)
    with pytest.raises(SettingsError, match="delimiter"):
        read_file(path, delimiter=",,")


def test_a_named_encoding_and_delimiter_are_obeyed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text:label\nprzesyłka:a\nzażółć:b\n", "iso8859-2")
    dataset = read_file(path, encoding="iso8859-2", delimiter=":")
    assert pairs(dataset) == [("przesyłka", "a"), ("zażółć", "b")]


@pytest.fixture(scope="module")
def large_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, int]]]:
    """Files of some 20 MB, and the rows in each."""
    folder = tmp_path_factory.mktemp("large")
    text = (
        "please tell me where my order number {} is, I have waited for weeks " + "and weeks " * 40
    )
    files = {}
    for name, row in [
        ("large.csv", '"' + text + '",label {}\n'),
        ("large.jsonl", '{{"text": "' + text + '", "label": "label {}"}}\n'),
    ]:
        count = 40_000
        with (folder / name).open("w") as file:
            file.write("text,label\n" if name.endswith("csv") else "")
            file.writelines(row.format(i, i % 7) for i in range(count))
        assert (folder / name).stat().st_size > 18_000_000
        files[name] = (folder / name, count)
    yield files
    for path, _ in files.values():
        path.unlink()


@pytest.mark.parametrize("name", ["large.csv", "large.jsonl"])
def test_a_large_file_streams_in_bounded_memory(
    large_files: dict[str, tuple[Path, int]], name: str
) -> None:
    path, count = large_files[name]
    next(iterate_file(path))  # what imports leave behind is not the file's
    tracemalloc.start()
    read = sum(1 for _ in iterate_file(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == count
    assert peak < 6_000_000, f"{peak:,} bytes for a file of {path.stat().st_size:,}"


def test_a_large_file_without_line_ends_streams_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\nhi,a\n" + b"x" * 20_000_000 + b"\nyo,b\n")
    list(iterate_file(write(tmp_path / "b.csv", as_delimited(","))))
    tracemalloc.start()
    outcomes = list(iterate_file(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(outcomes) == 3
    assert peak < 12_000_000


@pytest.mark.parametrize("row_group_size", [2_000, 1_000_000])
def test_a_large_parquet_file_streams_too(tmp_path: Path, row_group_size: int) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table(
        {
            "text": [f"{number} " + "weeks " * 80 for number in range(40_000)],
            "label": [str(number % 7) for number in range(40_000)],
        }
    )
    pyarrow.parquet.write_table(
        table, path, row_group_size=row_group_size, compression="none", use_dictionary=False
    )
    del table
    assert path.stat().st_size > 18_000_000
    before = pyarrow.total_allocated_bytes()
    held = []
    for number, _ in enumerate(iterate_file(path)):
        if number % 1_000 == 0:
            held.append(pyarrow.total_allocated_bytes() - before)
    assert number == 39_999
    assert max(held) < 8_000_000, f"{max(held):,} bytes"
