import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from data_connectors.item_files import ItemColumns, item_or_reason, read_items
from data_connectors.rows import Row
from shared.catalogue import CatalogueItem
from shared.errors import EmptyData, SettingsError, UnknownColumn, UnreadableFile
from shared.records import Reject

pytestmark = pytest.mark.unit

CSV = """sku,Name,Description,Department,Price,Stock,colour
a1,Red kettle,"Two litres, whistles",Kitchen,"1,299.50",3,red
a2,  Plain   mug ,,Kitchen,,0,
,Nameless,,,,1,
a3,Blue pot,,,cheap,1,blue
a4,,,,5,1,
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_found_and_the_rest_are_attributes(tmp_path: Path) -> None:
    outcomes = list(read_items(write(tmp_path / "items.csv", CSV)))
    assert outcomes[:2] == [
        CatalogueItem(
            "a1", "Red kettle", "Two litres, whistles", "Kitchen", 1299.5, True, {"colour": "red"}
        ),
        CatalogueItem("a2", "Plain mug", "", "Kitchen", None, False, {}),
    ]
    rejected = outcomes[2:]
    assert [(r.line, r.reason) for r in rejected if isinstance(r, Reject)] == [
        (4, "the id is blank"),
        (5, "the price is 'cheap', not a number"),
        (6, "the title is blank"),
    ]


def test_named_columns_win_and_unknown_ones_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "items.csv", "id,code,title,label\n1,x7,Jug,A jug\n")
    (item,) = read_items(path, ItemColumns(id="code", title="label"))
    assert isinstance(item, CatalogueItem)
    assert (item.id, item.title, item.attributes) == ("x7", "A jug", {"id": "1", "title": "Jug"})
    with pytest.raises(UnknownColumn, match=r"'cost'.*'id', 'code', 'title', 'label'"):
        list(read_items(path, ItemColumns(price="cost")))
    with pytest.raises(UnknownColumn, match="--title-column"):
        list(read_items(write(tmp_path / "bare.csv", "id,shade\n1,red\n")))


def test_the_same_items_in_every_format(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "title": "Jug", "text": "Clay", "price": 4.5, "available": True},
        {"id": "2", "title": "Äpfel\tgreen", "text": "", "price": None, "available": False},
    ]
    lines = write(tmp_path / "items.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    table = tmp_path / "items.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("CREATE TABLE items (id, title, text, price, available)")
    connection.executemany(
        "INSERT INTO items VALUES (:id, :title, :text, :price, :available)", rows
    )
    connection.commit()
    connection.close()
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    expected = [
        CatalogueItem("1", "Jug", "Clay", None, 4.5, True),
        CatalogueItem("2", "Äpfel green", "", None, None, False),
    ]
    assert list(read_items(lines)) == expected
    assert list(read_items(table)) == expected
    assert list(read_items(url, query="SELECT * FROM items ORDER BY id")) == expected
    tabs = "id\ttitle\ttext\tprice\tavailable\n1\tJug\tClay\t4.5\tyes\n2\tÄpfel green\t\t\tno\n"
    assert list(read_items(write(tmp_path / "items.tsv", tabs))) == expected


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ("12.50", 12.5), ("$12.50", 12.5), ("12,5", 12.5), ("1.299,00 €", 1299.0),
        ("EUR 1 299,00", 1299.0), ("1,299", 1299.0), ("1,299,000.25", 1299000.25), (7, 7.0),
        (Decimal("3.20"), 3.2), ("0", 0.0), ("", None), (None, None), (float("nan"), None),
        ("1e3", 1000.0), (".5", 0.5),
    ],
)  # fmt: skip
def test_prices_as_shops_write_them(written: object, price: float | None) -> None:
    columns = ItemColumns("id", "title", price="price")
    item = item_or_reason(Row(2, {"id": "1", "title": "Jug", "price": written}), columns)
    assert isinstance(item, CatalogueItem)
    assert item.price == price


@pytest.mark.parametrize("written", ["-3", "about 5", "1,2,3", "12,3456", "inf", "nan euro"])
def test_what_is_no_price_rejects_its_row(written: str) -> None:
    columns = ItemColumns("id", "title", price="price")
    reason = item_or_reason(Row(2, {"id": "1", "title": "Jug", "price": written}), columns)
    assert isinstance(reason, str)
    assert "price" in reason


@pytest.mark.parametrize(
    ("written", "available"),
    [
        ("In stock", True), ("out of  stock", False), ("12", True), (0, False), (True, True),
        (False, False), ("NO", False), ("", True), (None, True), ("sold out", False),
    ],
)  # fmt: skip
def test_availability_as_shops_write_it(written: object, available: bool) -> None:
    columns = ItemColumns("id", "title", available="stock")
    item = item_or_reason(Row(2, {"id": "1", "title": "Jug", "stock": written}), columns)
    assert isinstance(item, CatalogueItem)
    assert item.available is available


def test_an_availability_that_says_nothing_rejects_its_row() -> None:
    row = Row(2, {"id": "1", "title": "Jug", "stock": "perhaps"})
    reason = item_or_reason(row, ItemColumns("id", "title", available="stock"))
    assert reason == "the availability is 'perhaps', not yes, no or how many are in stock"


def test_attributes_keep_their_types_and_come_in_an_object(tmp_path: Path) -> None:
    row = {
        "id": 5,
        "title": "Jug",
        "attributes": {"colour": "red", "themes": ["tea", "gifts"], "nothing": None},
        "litres": 1.5,
        "new": True,
        "empty": [],
    }
    (item,) = read_items(write(tmp_path / "one.jsonl", json.dumps(row)))
    assert isinstance(item, CatalogueItem)
    assert item.id == "5"
    assert item.attributes == {
        "colour": "red", "themes": ["tea", "gifts"], "litres": 1.5, "new": True,
    }  # fmt: skip
    columns = ItemColumns("id", "title")
    as_text = Row(2, {"id": "5", "title": "Jug", "attributes": '{"colour": "red"}'})
    from_text = item_or_reason(as_text, columns)
    assert isinstance(from_text, CatalogueItem)
    assert from_text.attributes == {"colour": "red"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"attributes": "{colour"}, "the attributes are no JSON object"),
        ({"attributes": 7}, "the attributes are no object"),
        ({"size": {"w": 1}}, "the attribute 'size' is a dict"),
        ({"size": [["a"]]}, "the attribute 'size' is a list of lists"),
        ({"title": "a\x00b"}, "it holds a NUL character"),
        ({"title": ["a"]}, "the title is a list, not a text"),
        ({"title": "x" * 501}, "a title has at most 500 characters, a text 20000"),
        ({"id": "x" * 121}, f"id needs 1 to 120 printable characters, and is '{'x' * 40}'"),
    ],
)
def test_rows_that_hold_no_item(values: dict[str, object], reason: str) -> None:
    row = Row(2, {"id": "1", "title": "Jug", **values})
    assert item_or_reason(row, ItemColumns("id", "title")) == reason


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="no such file"):
        list(read_items(tmp_path / "nothing.csv"))
    with pytest.raises(EmptyData):
        list(read_items(write(tmp_path / "empty.csv", "")))
    with pytest.raises(SettingsError, match="--query"):
        list(read_items("sqlite:///shop.db"))
    with pytest.raises(SettingsError, match="goes with a database address"):
        list(read_items(tmp_path / "empty.csv", query="SELECT 1"))
    with pytest.raises(UnknownColumn, match="the query on sqlite"):
        list(read_items("sqlite://", query="SELECT 1 AS one"))
    with pytest.raises(SettingsError, match="no address of a sqlite database") as raised:
        list(read_items("sqlite://name:secret@host/", query="SELECT 1 AS one"))
    assert "secret" not in str(raised.value)


def test_items_come_one_by_one(tmp_path: Path) -> None:
    """The first item is there though a later part of the file is broken."""
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'{"id": "1", "title": "Jug"}\n' * 3 + b"{broken\n")
    outcomes = read_items(path)
    assert isinstance(next(outcomes), CatalogueItem)
    assert [type(outcome) for outcome in outcomes][-1] is Reject
