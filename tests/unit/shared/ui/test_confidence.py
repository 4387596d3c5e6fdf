"""The bars and shaded words, as the HTML that they are."""

from __future__ import annotations

import re

import pytest

from shared.api.support import IntentScore, TokenShape
from shared.ui.confidence import bars_html, meter_html, words_html

pytestmark = pytest.mark.unit


def widths(html: str) -> list[float]:
    return [float(width) for width in re.findall(r"width:([\d.]+)%", html) if width != "100"]


def test_a_bar_is_as_long_as_its_share_and_says_so_to_screen_readers() -> None:
    html = bars_html(
        [
            IntentScore(intent="order_status", probability=0.625),
            IntentScore(intent="refund", probability=0.25),
        ]
    )
    assert widths(html) == [62.5, 25.0]
    assert 'aria-label="Order status"' in html
    assert re.findall(r'aria-valuenow="(\d+)"', html) == ["62", "25"]


def test_a_meter_stays_within_its_frame() -> None:
    assert [widths(meter_html(share))[-1] for share in (-0.2, 0.4, 1.7)] == [0.0, 40.0, 100.0]


def test_what_people_named_is_escaped() -> None:
    html = bars_html([IntentScore(intent='<img src="x">', probability=0.5)])
    assert "<img" not in html
    assert "<script" not in words_html([TokenShape(token="<script>", weight=1.0)])


def test_words_are_shaded_by_weight_and_coloured_by_sign() -> None:
    html = words_html(
        [
            TokenShape(token="parcel", weight=2.0),
            TokenShape(token="my", weight=0.0),
            TokenShape(token="refund", weight=-1.0),
        ]
    )
    shades = re.findall(r"rgba\((\d+), \d+, \d+, *([\d.]+)\)", html)
    assert [float(shade) for _, shade in shades] == [0.55, 0.0, 0.28]
    assert shades[0][0] == shades[1][0] != shades[2][0]


def test_no_words_and_no_weights_are_no_error() -> None:
    assert "span" not in words_html([])
    assert "0.00" in words_html([TokenShape(token="a", weight=0.0)])
