from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import pytest

from apps.recommend.items.rows import as_row
from shared.catalogue import CatalogueItem

pytestmark = pytest.mark.unit


def test_attributes_are_as_json_gives_them_back() -> None:
    given = MappingProxyType({"colours": ("red", "blue"), "width": 3, "raw": r"a \u0000 b"})
    row = as_row(CatalogueItem("a", "Lamp", attributes=given))
    assert row["attributes"] == {"colours": ["red", "blue"], "width": 3, "raw": r"a \u0000 b"}
    assert (row["id"], row["title"], row["deleted"]) == ("a", "Lamp", False)


def test_a_whole_price_is_a_number_with_a_point() -> None:
    assert isinstance(as_row(CatalogueItem("a", "Lamp", price=3))["price"], float)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"text": "a\x00b"}, "NUL"),
        ({"title": "half \ud800"}, "surrogate"),
        ({"attributes": {"a": ["x", "\x00"]}}, "NUL"),
        ({"attributes": {"\x00": 1}}, "NUL"),
        ({"attributes": {"a": {"b": "\udfff"}}}, "surrogate"),
        ({"attributes": {"a": math.nan}}, "not JSON"),
        ({"attributes": {"a": object()}}, "not JSON"),
    ],
)
def test_what_no_database_keeps_is_refused(broken: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_row(CatalogueItem("a", **{"title": "Lamp", **broken}))
