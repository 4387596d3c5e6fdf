from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from shared.api.finance import Probabilities
from shared.ui.sentiment import (
    Marked,
    chip_html,
    is_web_address,
    link_html,
    marked_html,
    sentiment_bar_html,
    sentiment_row_html,
    time_html,
)

pytestmark = pytest.mark.unit

HOSTILE = '<img src=x onerror="alert(1)">&'
SURE = Probabilities(negative=0.7, neutral=0.2, positive=0.1)


def test_a_bar_has_a_part_as_long_as_each_probability() -> None:
    html = sentiment_bar_html(SURE, "Acme")
    assert [part in html for part in ("width:70.0%", "width:20.0%", "width:10.0%")] == [True] * 3
    assert 'aria-label="Acme: negative 70 %, neutral 20 %, positive 10 %"' in html


def test_a_row_names_whom_it_is_about_and_the_verdict() -> None:
    html = sentiment_row_html("Acme", "negative", SURE)
    assert ">Acme</span>" in html
    assert "70 % negative" in html


def test_marks_are_shaded_where_they_stand_and_what_they_tell_shows_on_hover() -> None:
    text = "Acme sinks, Globex soars"
    marks = [Marked(12, 18, "positive", "Globex: good"), Marked(0, 4, "negative", "Acme: bad")]
    html = marked_html(text, marks)
    assert html.count("<span") == 2
    assert ">Acme</span> sinks, <span" in html
    assert 'title="Globex: good"' in html
    assert html.endswith(">Globex</span> soars")


def test_marks_count_from_where_the_text_starts() -> None:
    marks = [Marked(6, 10, "neutral", "")]
    assert ">Acme</span> rests" in marked_html("Acme rests", marks, start=6)
    assert "<span" not in marked_html("Acme rests", marks, start=7)


def test_marks_that_overlap_or_leave_the_text_are_passed_over() -> None:
    marks = [Marked(0, 4, "neutral", "first"), Marked(2, 6, "neutral", "over it"),
             Marked(3, 99, "neutral", "too long")]  # fmt: skip
    html = marked_html("Acme rests", marks)
    assert html.count("<span") == 1
    assert html.endswith("</span> rests")


def test_nothing_that_was_stored_becomes_markup() -> None:
    told = Marked(0, 4, "negative", HOSTILE)
    for html in (
        marked_html(HOSTILE, [told]),
        chip_html(HOSTILE, HOSTILE),
        link_html(HOSTILE, "https://wire.test/?" + HOSTILE),
        sentiment_row_html(HOSTILE, "negative", SURE),
    ):
        assert "<img" not in html
        assert 'onerror="' not in html


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("https://wire.test/1", True),
        ("http://wire.test", True),
        ("javascript:alert(1)", False),
        ("data:text/html,hello", False),
        ("//wire.test/1", False),
        ("https://", False),
        ("http://[broken", False),
    ],
)
def test_links_lead_to_the_web_and_nowhere_else(address: str, fine: bool) -> None:
    assert is_web_address(address) is fine
    assert link_html("there", address).startswith("<a ") is fine


def test_a_link_opens_beside_the_page() -> None:
    html = link_html("Wire", "https://wire.test/1")
    assert 'target="_blank"' in html
    assert "noopener" in html
    assert link_html("Wire", None) == "Wire"


def test_a_moment_is_told_by_the_readers_clock_with_utc_on_hover() -> None:
    moment = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    html = time_html(moment, ZoneInfo("Europe/Berlin"), datetime(2026, 11, 25, 6, 0, tzinfo=UTC))
    assert ">00:30</time>" in html
    assert 'title="Tue 24 Nov 2026, 23:30 UTC"' in html
    assert 'datetime="2026-11-24T23:30:00Z"' in html
