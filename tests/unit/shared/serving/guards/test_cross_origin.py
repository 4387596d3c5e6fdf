from __future__ import annotations

import pytest

from shared.errors import SettingsError
from shared.serving.guards.cross_origin import check_origin, cross_origin

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "shop.example",
        "https://",
        "https://*.example",
        "https://shop.example/",
        "https://shop.example/path",
        "https://user@shop.example",
        "https://shop.example:99999",
        "ftp://shop.example",
        "javascript:alert(1)",
        "",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="TRIPTYCH_CORS_ORIGINS"):
        check_origin(text)


@pytest.mark.parametrize("text", ["https://shop.example", "http://localhost:3000", "http://[::1]"])
def test_an_origin(text: str) -> None:
    assert check_origin(text) == text


def test_nothing_is_let_in_unless_it_is_named() -> None:
    assert cross_origin(()) == []
    assert len(cross_origin(["https://shop.example"])) == 1
